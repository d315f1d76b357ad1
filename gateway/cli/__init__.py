"""The commands. ``main`` names them; each module is one command or one family of them."""
