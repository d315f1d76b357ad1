"""As much of ASN.1's Basic Encoding Rules as LDAP needs: definite lengths, one-byte tags.

Source: X.690; RFC 4511 section 5.1.
"""

from collections.abc import Iterable

BOOLEAN, INTEGER, OCTET_STRING, ENUMERATED, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31


class Malformed(ValueError):
    """Not the encoding that was expected."""


def element(tag: int, content: bytes) -> bytes:
    """Encode one element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(number: int, tag: int = INTEGER) -> bytes:
    """Encode a number that is not negative."""
    return element(tag, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def text(value: str | bytes, tag: int = OCTET_STRING) -> bytes:
    """Encode an octet string; text as UTF-8."""
    return element(tag, value.encode() if isinstance(value, str) else value)


def sequence(parts: Iterable[bytes], tag: int = SEQUENCE) -> bytes:
    """Encode a sequence, or a set, of elements that are already encoded."""
    return element(tag, b"".join(parts))


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Decode consecutive elements into (tag, content).

    Raises:
        Malformed: Truncated, or a length of unknown form.
    """
    found, position = [], 0
    while position < len(data):
        begins = head(data, position)
        if begins is None or sum(begins) > len(data):
            raise Malformed
        end = sum(begins)
        found.append((data[position], data[begins[0] : end]))
        position = end
    return found


def head(data: bytes | bytearray, position: int = 0) -> tuple[int, int] | None:
    """Return where the content of the element at a position starts, and its size; None if more must come.

    Raises:
        Malformed: A length of unknown form.
    """
    start = position + 2
    if start > len(data):
        return None
    size = data[position + 1]
    if size & 0x80:
        width = size & 0x7F
        if not 1 <= width <= 4:
            raise Malformed
        if start + width > len(data):
            return None
        size = int.from_bytes(data[start : start + width], "big")
        start += width
    return start, size


def number(content: bytes) -> int:
    """Decode an integer or enumerated content."""
    return int.from_bytes(content, "big", signed=True)
