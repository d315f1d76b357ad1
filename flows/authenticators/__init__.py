"""One module for each kind of authenticator: `base` says what each can do, `registry` lists them."""
