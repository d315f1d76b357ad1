"""Names of attempts and questions, and the references that people read out."""

import secrets

_REFERENCE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def new_id() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def new_reference() -> str:
    """Return eight letters and digits in two groups that people can read out: 40 bits."""
    letters = "".join(secrets.choice(_REFERENCE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"
