"""Going on on another device: a message's link stands for one code of one attempt (S15).

The link carries a reference and opens a page with a field; the code is typed there. Opening it changes
nothing, and without the code it is worth nothing.
"""

import datetime as dt
import secrets
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from enforcement.policy import Purpose
from flows.recovery.attempt import Attempt, Challenge
from store.expiring import Expiring

MOVE_PATH = "/here/"
"""Below the portal's address; the reference follows."""
_STORED_AS = "move"


@dataclass(frozen=True, slots=True)
class Move:
    """What a link stands for."""

    attempt: str = field(repr=False)
    purpose: Purpose
    code_digest: str = field(repr=False)
    """Of the code in the same message: the link is void with it."""


_JSON = TypeAdapter(Move)


class Moves:
    """References in messages with a code."""

    def __init__(self, expiring: Expiring, portal: str) -> None:
        """Take the portal's public address with its prefix, like `https://sso.example.org/sparekey`."""
        self._expiring = expiring
        self._portal = portal

    def link(self, attempt: Attempt, challenge: Challenge, *, now: dt.datetime) -> str:
        """Return an address for the message with a challenge's code; good as long as the code."""
        reference = secrets.token_urlsafe(24)
        move = Move(attempt.id, attempt.purpose, challenge.code_digest)
        self._expiring.put(_STORED_AS, reference, _JSON.dump_json(move), ttl=challenge.expires_at - now)
        return f"{self._portal}{MOVE_PATH}{reference}"

    def read(self, reference: str) -> Move | None:
        """Return what a reference stands for, and leave it."""
        found = self._expiring.peek(_STORED_AS, reference)
        return _JSON.validate_json(found) if found else None
