"""One-time passwords from an authenticator app.

Source: RFC 6238: SHA-1, 30 seconds, six digits, which is what every app understands.
"""

import base64
import datetime as dt
import hmac
import secrets

import pyotp

from flows.authenticators.base import Question
from flows.errors import CodeExpired
from flows.verification_code import digits_of
from store.database import Transaction

SECONDS = 30
DRIFT = 1
"""Steps before and after the current one that count: clocks differ."""
_SEED_BYTES = 20


class Totp:
    """The secret is the seed itself."""

    name = "totp"
    is_sent = False
    is_told = False

    def __init__(self) -> None:
        self._decoy_seed = new_seed()

    def mask(self, secret: bytes) -> str:
        """Return nothing: an app has no destination."""
        del secret
        return ""

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
