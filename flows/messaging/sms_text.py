"""Text messages as networks carry them: the letters they have, and how a long one is cut.

Source: 3GPP TS 23.038 section 6.2.1 (the 7-bit alphabet and its extension table), TS 23.040 section
9.2.3.24.1 (the header of a part). smpplib's own tables turn a backtick into a section sign, and cut pairs.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE = b"\x1b"
_GSM = {letter: bytes([code]) for code, letter in enumerate(_ALPHABET) if letter != "\x1b"} | {
    letter: _ESCAPE + bytes([code])
    for code, letter in {
        0x0A: "\f",
        0x14: "^",
        0x28: "{",
        0x29: "}",
        0x2F: "\\",
        0x3C: "[",
        0x3D: "~",
        0x3E: "]",
        0x40: "|",
        0x65: "€",
    }.items()
}
MOST_PARTS = 10
"""Longer than anything that we write."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One message, ready for the network."""

    parts: tuple[bytes, ...] = field(repr=False)
    """In order; each begins with the header that joins them where there is more than one."""
    is_gsm: bool
    """Whether the letters are of the 7-bit alphabet, one byte each; else UTF-16, big end first."""


def encode(text: str, *, wide: bool = False) -> Encoded:
    """Return a text in as few parts as its letters allow.

    Args:
        text: Of any letters.
        wide: Whether to use UTF-16 whatever the letters are.

    Raises:
        ValueError: More than `MOST_PARTS`.
    """
    is_gsm = not wide and all(letter in _GSM for letter in text)
    letters = [(_GSM.__getitem__ if is_gsm else _utf16)(letter) for letter in text]
    one, many = (160, 153) if is_gsm else (140, 134)
    whole = b"".join(letters)
    if len(whole) <= one:
        return Encoded((whole,), is_gsm)
    bodies = list(_cut(letters, many))
    if len(bodies) > MOST_PARTS:
        raise ValueError(len(bodies))
    # Spec: five bytes follow; element 0 of three: a reference, the number of parts, which one this is.
    head = bytes([5, 0, 3, secrets.randbelow(256), len(bodies)])
    return Encoded(
        tuple(head + bytes([number]) + body for number, body in enumerate(bodies, start=1)), is_gsm
    )


def segments(text: str) -> int:
    """Return how many messages a text is charged as; at least 1."""
    return len(encode(text).parts)


def bound_to(text: str, host: str, code: str) -> str:
    """Return a text with a last line that lets phones offer the code on this host alone.

    Without that line where it would make the message cost more, or where no host is known.

    Source: WICG, Origin-bound one-time codes delivered via SMS (`@host #code`).
    """
    bound = f"{text}\n@{host} #{code}"
    return bound if host and segments(bound) <= segments(text) else text


def _cut(letters: list[bytes], most: int) -> Iterator[bytes]:
    """Yield parts of at most so many bytes; no letter is cut in two."""
    part = b""
    for letter in letters:
        if len(part) + len(letter) > most:
            yield part
            part = b""
        part += letter
    yield part


def _utf16(letter: str) -> bytes:
    return letter.encode("utf-16-be", "replace")
