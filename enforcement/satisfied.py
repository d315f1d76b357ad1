"""The "satisfied" claim: that the gate found somebody covered a moment ago (S12).

It lets covered people through while the breaker is open, and says nothing at any other time.
"""

import base64
import datetime as dt
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = dt.timedelta(minutes=5)
PURPOSE = "satisfied"
_SKEW = dt.timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Satisfied:
    """One IdP session of one person was found covered under one version of the policy."""

    issuer: str
    subject: str
    session_id: str
    policy_version: int
    person_epoch: int

    def fits(self, issuer: str, subject: str, session_id: str, policy_version: int) -> bool:
        """Tell whether it speaks of this response's sign-in; never of one without a session id."""
        given = (issuer, subject, session_id, policy_version)
        return bool(session_id) and given == (self.issuer, self.subject, self.session_id, self.policy_version)


def mint(claim: Satisfied, key: bytes, *, now: dt.datetime, lifetime: dt.timedelta = LONGEST) -> str:
    """Return the claim as a token that a cookie can carry.

    Args:
        key: `Vault.signing_key(PURPOSE)`.
        lifetime: At most five minutes.
    """
    if lifetime > LONGEST:
        raise ValueError("a satisfied claim lives five minutes at most")
    made = int(now.timestamp())
    stated = {name: getattr(claim, name) for name in Satisfied.__slots__}
    document = {**stated, "made": made, "ends": made + int(lifetime.total_seconds())}
    body = _encode(json.dumps(document, separators=(",", ":")).encode())
    return f"{body}.{_encode(_mac(key, body))}"


def read(token: str, keys: Sequence[bytes], *, now: dt.datetime) -> Satisfied | None:
    """Return the claim of a token, or None: forged, too old, made in the future, or no token at all.

    Args:
        keys: `Vault.verifying_keys(PURPOSE)`.
    """
    body, _, mac = token.partition(".")
    try:
        given = _decode(mac)
        # Security: every key is tried, and nothing is parsed before its MAC holds.
        if sum(hmac.compare_digest(_mac(key, body), given) for key in keys) == 0:
            return None
        document = json.loads(_decode(body))
    except ValueError:
        return None
    return _claim(document) if _in_time(document["made"], document["ends"], now) else None


def _in_time(made: int, ends: int, now: dt.datetime) -> bool:
    second = now.timestamp()
    return made - _SKEW.total_seconds() <= second < min(ends, made + LONGEST.total_seconds())


def _claim(document: dict[str, str | int]) -> Satisfied:
    return Satisfied(**{name: document[name] for name in Satisfied.__slots__})  # type: ignore[arg-type]


def _mac(key: bytes, body: str) -> bytes:
    return hmac.digest(key, b"satisfied." + body.encode(), "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
