"""Search filters: from the text that this package writes to what goes over the wire.

Only what is used here is understood: and, or, not, presence and equality.
Source: RFC 4515 section 3; RFC 4511 section 4.5.1.7.
"""

import functools
import re

from idp_plugin import ber

_AND, _OR, _NOT, _EQUAL, _PRESENT = 0xA0, 0xA1, 0xA2, 0xA3, 0x87
_SETS = {"&": _AND, "|": _OR, "!": _NOT}
_ITEM = re.compile(r"\(([A-Za-z0-9.;-]+)=([^()\0]*)\)")
_ESCAPED = re.compile(rb"\\([0-9a-fA-F]{2})")
_SPECIAL = re.compile(r"[\\*()\0]")


def escaped(value: str) -> str:
    """Return a value as a filter writes it."""
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):02x}", value)


@functools.lru_cache(maxsize=256)
def encoded(text: str) -> bytes:
    """Encode a filter.

    Raises:
        ValueError: Not a filter of the kinds above.
    """
    element, end = _filter(text, 0)
    if end != len(text):
        raise ValueError("filter")
    return element


def _filter(text: str, start: int) -> tuple[bytes, int]:
    """Encode the filter that begins at a position; return it and where it ends."""
    tag = _SETS.get(text[start + 1 : start + 2]) if text[start : start + 1] == "(" else None
    if tag is None:
        return _item(text, start)
    parts, position = [], start + 2
    while text[position : position + 1] == "(":
        part, position = _filter(text, position)
        parts.append(part)
    if text[position : position + 1] != ")" or not parts or (tag == _NOT and len(parts) > 1):
        raise ValueError("filter")
    return ber.sequence(parts, tag), position + 1


def _item(text: str, start: int) -> tuple[bytes, int]:
    found = _ITEM.match(text, start)
    if found is None:
        raise ValueError("filter")
    attribute, value = found[1].encode("ascii"), found[2]
    if value == "*":
        return ber.element(_PRESENT, attribute), found.end()
    if "*" in value:
        raise ValueError("filter")
    unescaped = _ESCAPED.sub(lambda pair: bytes.fromhex(pair[1].decode()), value.encode("utf-8"))
    return ber.sequence([ber.text(attribute), ber.text(unescaped)], _EQUAL), found.end()
