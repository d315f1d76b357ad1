"""One account of Active Directory: its attributes, and what they make of it now.

Times are counted in 100 ns since 1601; computed attributes are asked for by name, because the plain ones
say "locked" and "expired" for longer than it is true.

Source: [MS-ADTS] sections 3.1.1.4.5 (constructed attributes) and 2.2.16 (flags); [MS-ADA1], [MS-ADA3].
"""

import datetime as dt
import uuid

from idp_plugin.base import PasswordState
from idp_plugin.ldap.connection import Entry
from idp_plugin.ldap.security_descriptor import (
    CONTROL_ACCESS,
    EVERYONE,
    SELF,
    AccessEntry,
    MalformedDescriptor,
    access_list,
    first_word,
)

ID = "objectGUID"
SECURITY_ID = "objectSid"
DESCRIPTOR = "nTSecurityDescriptor"
EXPIRY = "msDS-UserPasswordExpiryTimeComputed"
COMPUTED_FLAGS = "msDS-User-Account-Control-Computed"
RESULTANT_POLICY = "msDS-ResultantPSO"

ATTRIBUTES = (
    "sAMAccountName",
    "userPrincipalName",
    SECURITY_ID,
    DESCRIPTOR,
    EXPIRY,
    COMPUTED_FLAGS,
    RESULTANT_POLICY,
    "userAccountControl",
    "accountExpires",
    "lockoutTime",
    "pwdLastSet",
    "adminCount",
)

CHANGE_PASSWORD = uuid.UUID("ab721a53-1e2f-11d0-9819-00aa0040529b")
"""The extended right; source: [MS-ADTS] section 5.1.3.2.1."""

DISABLED = 0x2
LOCKED = 0x10
DELEGATES = 0x80000 | 0x1000000
"""May act as anybody who signs in to it: power enough."""
NEVER = 0x7FFFFFFFFFFFFFFF

_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_CENTURY = dt.timedelta(days=100 * 366)


def canonical_id(entry: Entry) -> str:
    """Return the immutable id in the text form that people and Keycloak use; empty where unreadable.

    Source: [MS-DTYP] section 2.3.4: the first three fields are little-endian.
    """
    raw = next(iter(entry.attributes.get(ID.lower(), ())), b"")
    return str(uuid.UUID(bytes_le=raw)) if len(raw) == 16 else ""


def id_filter(canonical: str) -> str:
    """Return the filter for an id; raises ValueError for what is none."""
    return f"({ID}={escaped(uuid.UUID(canonical).bytes_le)})"


def escaped(raw: bytes) -> str:
    """Return bytes as a filter writes them.

    Source: RFC 4515 section 3.
    """
    return "".join(f"\\{byte:02x}" for byte in raw)


def is_enabled(person: Entry, now: dt.datetime) -> bool:
    """Tell whether no administrator has closed the account; unreadable counts as closed."""
    flags = number(person, "userAccountControl")
    if flags is None or flags & DISABLED:
        return False
    ends = moment(number(person, "accountExpires"))
    return ends is None or now < ends


def is_locked(person: Entry) -> bool:
    """Tell whether binds are refused now; where that is not readable, every lock counts."""
    computed = number(person, COMPUTED_FLAGS)
    if computed is None:
        return bool(number(person, "lockoutTime"))
    return bool(computed & LOCKED)


def password_state(person: Entry, now: dt.datetime) -> PasswordState:
    """Tell whether the password still opens the account."""
    expiry = number(person, EXPIRY)
    if expiry is None:
        return PasswordState.UNKNOWN
    if expiry == 0:
        return PasswordState.MUST_CHANGE
    ends = moment(expiry)
    return PasswordState.USABLE if ends is None or now < ends else PasswordState.EXPIRED


def may_change_after(person: Entry, minimum_age: dt.timedelta, now: dt.datetime) -> dt.datetime | None:
    """Return when the person may change it, None for at once."""
    changed = moment(number(person, "pwdLastSet"))
    if changed is None or password_state(person, now) is PasswordState.MUST_CHANGE:
        return None
    after = changed + minimum_age
    return after if after > now else None


def may_change(person: Entry) -> bool:
    """Tell whether the person may change the password: no where an administrator ticked "cannot change".

    Where the access list cannot be read, nothing is claimed.
    """
    entries = access_entries(person)
    return (
        entries is None or first_word(entries, CONTROL_ACCESS, CHANGE_PASSWORD, {EVERYONE, SELF}) is not False
    )


def access_entries(person: Entry) -> tuple[AccessEntry, ...] | None:
    """Return the account's access list; None where it has none, or it cannot be read."""
    raw = next(iter(person.attributes.get(DESCRIPTOR.lower(), ())), b"")
    try:
        return access_list(raw)
    except MalformedDescriptor:
        return None


def number(entry: Entry, attribute: str) -> int | None:
    """Return a whole number, None where there is none to read."""
    try:
        return int(entry.first(attribute))
    except ValueError:
        return None


def moment(ticks: int | None) -> dt.datetime | None:
    """Return a time; None for never, for "not set", and out of the calendar."""
    if not ticks or ticks < 0 or ticks >= NEVER:
        return None
    try:
        return _EPOCH + dt.timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def ticks(when: dt.datetime) -> int:
    """Return a time as the directory counts it."""
    return (when - _EPOCH) // dt.timedelta(microseconds=1) * 10


def duration(entry: Entry, attribute: str) -> dt.timedelta:
    """Return a length of time, which the directory writes as a negative number; zero for none or for ever."""
    value = -(number(entry, attribute) or 0)
    if value <= 0 or value >= NEVER:
        return dt.timedelta(0)
    return min(dt.timedelta(microseconds=value // 10), _CENTURY)
