"""Call-backs and requests that carry a signature: HMAC-SHA256 over the time, a full stop and the body."""

import datetime as dt
import hashlib
import hmac
import json
from typing import Any

from pydantic import SecretStr

AGES = dt.timedelta(minutes=5)
"""How far the sender's clock may be away, either way."""


class NotAuthentic(Exception):
    """The signature is missing, wrong, or too old; nothing was read."""


def signature(secret: SecretStr, time: str, body: bytes) -> str:
    """Return the signature in hexadecimal; `time` is in seconds since 1970."""
    signed = time.encode() + b"." + body
    return hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()


def require_authentic(secret: SecretStr, time: str, given: str, body: bytes, *, now: dt.datetime) -> str:
    """Check who made a body, and when; return the signature as `signature` writes it.

    Raises:
        NotAuthentic: Somebody else did, or too long ago.
    """
    right = signature(secret, time, body)
    if not hmac.compare_digest(right.encode(), given.removeprefix("sha256=").strip().lower().encode()):
        raise NotAuthentic
    # The time was signed, so it is the sender's own; only its form is still in question.
    if not time.isdecimal() or len(time) > 12 or abs(now.timestamp() - int(time)) > AGES.total_seconds():
        raise NotAuthentic
    return right


def found_at(document: Any, path: str) -> str:
    """Return what stands at a path like `messages.0.id`, as text; empty where there is nothing."""
    for step in path.split("."):
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return ""
    is_word = isinstance(document, str) or (isinstance(document, int) and not isinstance(document, bool))
    return str(document) if is_word else ""


def document_in(body: bytes) -> Any:
    """Return a JSON document; None for anything else."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
