"""One-time passwords from an authenticator app.

Source: RFC 6238: SHA-1, 30 seconds, six digits, which is what every app understands.
"""

import base64
import datetime as dt
import hmac
import secrets

import pyotp

from flows.authenticators.base import Prepared, Question, Unsent, Waiting, Wish
from flows.errors import CodeExpired
from flows.registering.binding import require_room
from flows.registering.member import NewApp
from flows.verification_code import digits_of
from store.authenticators import Authenticator
from store.database import Transaction

SECONDS = 30
DRIFT = 1
"""Steps before and after the current one that count: clocks differ."""
_SEED_BYTES = 20


class Totp(Unsent):
    """The secret is the seed itself."""

    name = "totp"

    def __init__(self, organisation: str) -> None:
        """Take the name that the app shows."""
        self._organisation = organisation
        self._decoy_seed = new_seed()

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the one app whose code it is, and use up its time step; see `Kind.prove`."""
        found: tuple[str, int] | None = None
        candidates = question.candidates()
        # Security: a decoy computes as many codes as a person with one app.
        for seed, authenticator_id in [(each.secret, each.id) for each in candidates] or [
            (self._decoy_seed, "")
        ]:
            step = matching_step(seed, answer, now)
            if step is not None and authenticator_id:
                found = found or (authenticator_id, step)
        if found is None:
            return ()
        if not transaction.authenticators.use_step(*found):
            raise CodeExpired
        return (found[0],)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return a new seed."""
        del now
        require_room(self.name, wish.own)
        return Prepared(new_seed())

    def shown(self, waiting: Waiting, wish: Wish) -> NewApp:
        """Return the seed as people type it and as the QR code carries it."""
        seed = waiting.secret
        return NewApp(base32(seed), uri(seed, account=wish.username, organisation=self._organisation))

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return the seed where the app shows the right code."""
        return waiting.secret if matching_step(waiting.secret, answer, now) is not None else None

    def bound(self, transaction: Transaction, added: Authenticator, answer: str, *, now: dt.datetime) -> None:
        """Use up the time step that bound it."""
        transaction.authenticators.use_step(added.id, matching_step(added.secret, answer, now) or 0)


def matching_step(seed: bytes, answer: str, now: dt.datetime) -> int | None:
    """Return the time step whose code an answer is, compared in constant time, or None."""
    given = digits_of(answer).encode("utf-8", "surrogatepass")
    current = int(now.timestamp()) // SECONDS
    otp = pyotp.TOTP(base32(seed))
    matching = None
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(otp.generate_otp(step).encode(), given):
            matching = step
    return matching


def new_seed() -> bytes:
    """Return 160 random bits. Source: RFC 4226 section 4, R6."""
    return secrets.token_bytes(_SEED_BYTES)


def base32(seed: bytes) -> str:
    """Return a seed as apps take it typed: letters A to Z and digits 2 to 7."""
    return base64.b32encode(seed).decode().rstrip("=")


def uri(seed: bytes, *, account: str, organisation: str) -> str:
    """Return the `otpauth://` address that the QR code carries."""
    return pyotp.TOTP(base32(seed)).provisioning_uri(name=account, issuer_name=organisation)
