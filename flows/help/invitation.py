"""An invitation to set a new password: a link in a message that stands for a name, and proves nothing."""

import datetime as dt
import secrets
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from flows.errors import AttemptExpired, TooManyAttempts
from flows.recovery.attempt import Attempt
from flows.recovery.reset import Reset
from store.counters import Counters, Limit
from store.expiring import Expiring

LIVES = dt.timedelta(hours=24)
INVITED_PATH = "/invited/"
"""Below the portal's address; the reference follows. Its page has a button: GET changes nothing."""
MOST_STARTS = 5
"""How often one invitation may begin an attempt: people close windows."""
_STORED_AS = "invitation"


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who is invited."""

    username: str = field(repr=False)
    """As the directory knows the person; looked up again when the attempt begins."""
    reference: str
    expires_at: dt.datetime


_JSON = TypeAdapter(Invitation)


class Invitations:
    """References in messages, each good for a day."""

    def __init__(self, *, expiring: Expiring, counters: Counters, portal: str) -> None:
        """Take the portal's public address with its prefix, like `https://sso.example.org/sparekey`."""
        self._expiring = expiring
        self._counters = counters
        self._portal = portal

    def link(self, username: str, *, reference: str, now: dt.datetime) -> str:
        """Return an address for the message to somebody."""
        token = secrets.token_urlsafe(24)
        invitation = Invitation(username, reference, now + LIVES)
        self._expiring.put(_STORED_AS, token, _JSON.dump_json(invitation), ttl=LIVES)
        return f"{self._portal}{INVITED_PATH}{token}"

    def read(self, token: str, *, now: dt.datetime) -> Invitation | None:
        """Return what a link stands for, and leave it."""
        found = self._expiring.peek(_STORED_AS, token)
        invitation = _JSON.validate_json(found) if found else None
        return invitation if invitation and invitation.expires_at > now else None

    def accept(self, token: str, reset: Reset, *, browser: str, device: str, now: dt.datetime) -> Attempt:
        """Begin a reset for whom the link was sent to, without work; the proofs are the usual ones.

        Raises:
            AttemptExpired: The link is too old, or made up.
            TooManyAttempts: It was used too often.
        """
        invitation = self.read(token, now=now)
        if invitation is None:
            raise AttemptExpired
        verdict = self._counters.hit([Limit(f"invited:{token}", MOST_STARTS, LIVES)], now=now)
        if not verdict.allowed:
            raise TooManyAttempts(verdict.retry_after)
        return reset.begin(invitation.username, browser=browser, device=device, now=now)
