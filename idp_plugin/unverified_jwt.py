"""What a JWT says, read without its signature: for what the provider itself just sent or accepted."""

import base64
import binascii
import json
from typing import Any


def contents(token: bytes) -> dict[str, Any]:
    """Return the claims; empty where it is no JWT, encrypted, or anything odd."""
    parts = token.split(b".")
    if len(parts) != 3:
        return {}
    try:
        padded = parts[1] + b"=" * (-len(parts[1]) % 4)
        said = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
