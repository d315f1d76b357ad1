"""LDAP search filters, as they come over the wire.

Source: RFC 4511 section 4.5.1.7.
"""

import enum
import re
from collections.abc import Mapping, Sequence

from idp_plugin.ber import Malformed, elements
from idp_plugin.ldap.names import comparable


class Tag(enum.IntEnum):
    """The kinds of filter that are understood."""

    AND = 0xA0
    OR = 0xA1
    NOT = 0xA2
    EQUAL = 0xA3
    SUBSTRINGS = 0xA4
    AT_LEAST = 0xA5
    AT_MOST = 0xA6
    PRESENT = 0x87


_NAMES_ENTRIES = frozenset({"member", "memberof"})

Attributes = Mapping[str, Sequence[str]]
"""By lower-case name."""


def matches(tag: int, content: bytes, entry: Attributes) -> bool:
    """Tell whether a filter, given as its tag and content, holds for an entry.

    Raises:
        Malformed: Unknown or broken; the caller answers protocolError.
    """
    if tag == Tag.AND:
        return all(matches(*part, entry) for part in elements(content))
    if tag == Tag.OR:
        return any(matches(*part, entry) for part in elements(content))
    if tag == Tag.NOT:
        return not any(matches(*part, entry) for part in elements(content))
    if tag == Tag.PRESENT:
        name = content.decode("utf-8", "replace").lower()
        return name == "objectclass" or name in entry
    if tag == Tag.SUBSTRINGS:
        return _matches_substrings(content, entry)
    return _compares(tag, content, entry)


def _compares(tag: int, content: bytes, entry: Attributes) -> bool:
    name, value = _assertion(content)
    values = entry.get(name, ())
    match tag:
        case Tag.EQUAL:
            return _has_value(name, value, values)
        case Tag.AT_LEAST:
            return any(each >= value for each in values)
        case Tag.AT_MOST:
            return any(each <= value for each in values)
        case _:
            raise Malformed


def _assertion(content: bytes) -> tuple[str, str]:
    parts = elements(content)
    if len(parts) != 2:
        raise Malformed
    name, value = (part.decode("utf-8", "replace") for _, part in parts)
    return name.lower(), value


def _has_value(name: str, value: str, values: Sequence[str]) -> bool:
    if name in _NAMES_ENTRIES:
        return comparable(value) in {comparable(each) for each in values}
    wanted = _folded(value)
    return any(_folded(each) == wanted for each in values)


def _folded(value: str) -> str:
    """Return the form that caseIgnoreMatch compares: case and repeated spaces do not count."""
    return " ".join(value.split()).casefold()


def _matches_substrings(content: bytes, entry: Attributes) -> bool:
    parts = elements(content)
    if len(parts) != 2:
        raise Malformed
    pieces = elements(parts[1][1])
    pattern = "".join(
        ("" if kind == 0x80 else ".*") + re.escape(piece.decode("utf-8", "replace").casefold())
        for kind, piece in pieces
    )
    if not pieces or pieces[-1][0] != 0x82:
        pattern += ".*"
    values = entry.get(parts[0][1].decode("utf-8", "replace").lower(), ())
    return any(re.fullmatch(pattern, value.casefold(), re.DOTALL) for value in values)
