"""What the demo directory keeps: entries, and the credential of those that have one."""

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PERMANENTLY = "000001010000Z"
"""The lock time that only an administrator may end."""


def generalised_time(moment: dt.datetime) -> str:
    """Write an aware time as LDAP does.

    Source: RFC 4517 section 3.3.13.
    """
    return moment.astimezone(dt.UTC).strftime("%Y%m%d%H%M%SZ")


def hashed(password: bytes) -> bytes:
    """Return salt and hash; a few milliseconds, so that the demo's sign-ins cost something."""
    salt = secrets.token_bytes(16)
    return salt + _stretch(password, salt)


def is_password(password: bytes, stored: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(_stretch(password, stored[:16]), stored[16:])


def _stretch(password: bytes, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, 5_000)


@dataclass(slots=True)
class Credential:
    """One entry's password and what happened to it; times are aware UTC."""

    stored: bytes = field(repr=False)
    changed: dt.datetime
    history: list[bytes] = field(default_factory=list, repr=False)
    """Earlier ones, newest first."""
    failures: list[dt.datetime] = field(default_factory=list)
    locked_at: dt.datetime | None = None
    is_locked_permanently: bool = False
    must_change: bool = False

    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Return the operational attributes that say so."""
        found: dict[str, tuple[str, ...]] = {"pwdChangedTime": (generalised_time(self.changed),)}
        if self.failures:
            found["pwdFailureTime"] = tuple(generalised_time(moment) for moment in self.failures)
        if self.is_locked_permanently:
            found["pwdAccountLockedTime"] = (PERMANENTLY,)
        elif self.locked_at:
            found["pwdAccountLockedTime"] = (generalised_time(self.locked_at),)
        if self.must_change:
            found["pwdReset"] = ("TRUE",)
        return found


@dataclass(slots=True)
class DirectoryEntry:
    """One entry. Attribute names keep their spelling and are found in any."""

    dn: str
    attributes: Mapping[str, Sequence[str]]
    credential: Credential | None = None
    entry_uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def values(self, attribute: str) -> Sequence[str]:
        """Return the stored values; none of the operational ones."""
        wanted = attribute.lower()
        return next((values for name, values in self.attributes.items() if name.lower() == wanted), ())

    def everything(self) -> dict[str, Sequence[str]]:
        """Return all that may be read, operational attributes included, passwords never."""
        found = dict(self.attributes)
        found["entryUUID"] = (self.entry_uuid,)
        if self.credential:
            found.update(self.credential.attributes())
        return found
