"""The job that ends a person's sessions once more; `PasswordWrite.end_sessions_again` is what it does."""

END_SESSIONS = "reset.end_sessions"
