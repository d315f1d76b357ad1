"""Distinguished names, identifiers and times as they come and go."""

import datetime as dt
import functools
import re
import unicodedata

from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn

from idp_plugin.ldap.filter import escaped

LONGEST_IDENTIFIER = 256
_KEPT = 4096
"""Names whose reading is remembered: of groups, and of people who are looked at again and again."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DS389_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){3}", re.IGNORECASE)
_ESCAPES = re.compile(r"\\([0-9a-fA-F]{2})|\\(.)|(.)", re.DOTALL)
_TIME = re.compile(r"(\d{14})(?:[.,]\d+)?Z")


def is_askable(identifier: str) -> bool:
    """Tell whether a typed identifier may be put to a directory at all.

    Empty, very long, with control or invisible formatting characters, or not encodable: nobody's name.
    """
    # Security: invisible characters are what directories drop when they compare (S7).
    return (
        0 < len(identifier) <= LONGEST_IDENTIFIER
        and bool(identifier.strip())
        and not any(unicodedata.category(character)[0] == "C" for character in identifier)
    )


def alike(name: str) -> str:
    """Return a name in the form in which case, spaces and ways of composing letters make no difference.

    Letters that only look alike stay apart.
    """
    return " ".join(unicodedata.normalize("NFC", name).lower().split())


def is_uuid(value: str) -> bool:
    """Tell whether it is a UUID's canonical text."""
    return _UUID.fullmatch(value) is not None


def is_ds389_id(value: str) -> bool:
    """Tell whether it is the canonical text of an `nsUniqueId`."""
    return _DS389_ID.fullmatch(value) is not None


def equals(attribute: str, value: str) -> str:
    """Return a filter that compares by the directory's own rule; the value is escaped."""
    return f"({attribute}={escaped(value)})"


@functools.lru_cache(maxsize=_KEPT)
def comparable(dn: str) -> str:
    """Return a DN in the form in which two spellings are equal; what is no DN only in lower case."""
    try:
        parts = parse_dn(dn, escape=False, strip=True)
    except LDAPInvalidDnError:
        return dn.lower()
    return ",".join(f"{name.lower()}={_escaped(_plain(value).lower())}" for name, value, _ in parts)


@functools.lru_cache(maxsize=_KEPT)
def leaf(dn: str) -> str:
    """Return the value of a DN's first part, unescaped: `staff` of `cn=staff,ou=groups,…`."""
    try:
        parts = parse_dn(dn, escape=False, strip=True)
    except LDAPInvalidDnError:
        return ""
    return _plain(parts[0][1]) if parts else ""


def _plain(value: str) -> str:
    r"""Undo a DN value's escapes: `\2C` and `\,` are both a comma.

    Source: RFC 4514 section 2.4.
    """
    plain = b"".join(
        bytes.fromhex(pair) if pair else (character or other).encode("utf-8", "replace")
        for pair, character, other in _ESCAPES.findall(value)
    )
    return plain.decode("utf-8", "replace")


def _escaped(value: str) -> str:
    """Keep a value's separators apart from those between values."""
    return value.replace("\\", "\\5c").replace(",", "\\2c").replace("=", "\\3d")


def moment(value: str) -> dt.datetime | None:
    """Read a generalised time in UTC; None where it is none, or out of the calendar.

    Source: RFC 4517 section 3.3.13.
    """
    found = _TIME.fullmatch(value)
    if found is None:
        return None
    try:
        return dt.datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
