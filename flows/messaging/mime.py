"""Mail as it goes over the wire: some headers, a text, and the same as a page.

Written here because nothing more is needed: the `email` package builds objects for any mail there is, and
takes ten times as long.
Source: RFC 5322 section 2; RFC 2045 section 6.7 (quoted-printable); RFC 2046 section 5.1.4 (alternative).
"""

import binascii
import secrets
from collections.abc import Mapping
from email.header import Header

_END = "\r\n"
_LONG = 900
"""A line has at most 998 characters; longer values are folded."""


def written(headers: Mapping[str, str], text: str, html: str | None) -> bytes:
    """Write a whole mail.

    Args:
        headers: Each of one line, in any script.
        text: In lines.
        html: The same for whoever sees pages; None where there is none.

    Raises:
        ValueError: A header would begin another one.
    """
    head = "".join(f"{name}: {_one_line(value)}{_END}" for name, value in headers.items())
    body = _part("plain", text) if html is None else _alternatives(text, html)
    return f"{head}MIME-Version: 1.0{_END}{body}".encode("ascii")


def _alternatives(text: str, html: str) -> str:
    # Nothing that somebody writes can hold what nobody can guess.
    boundary = f"={secrets.token_hex(16)}="
    parts = (f"--{boundary}{_END}{part}" for part in (_part("plain", text), _part("html", html)))
    head = f'Content-Type: multipart/alternative; boundary="{boundary}"{_END}{_END}'
    return f"{head}{''.join(parts)}--{boundary}--{_END}"


def _part(subtype: str, text: str) -> str:
    # Quoted-printable, because base64 looks like something to hide to those who sort mail.
    # Its line breaks show the encoder which ones to make, so there has to be one.
    lines = f"{text}\n".replace("\r\n", "\n").replace("\n", _END).encode("utf-8", "replace")
    head = f'Content-Type: text/{subtype}; charset="utf-8"{_END}Content-Transfer-Encoding: quoted-printable'
    return f"{head}{_END}{_END}{binascii.b2a_qp(lines).decode('ascii')}"


def _one_line(value: str) -> str:
    # Security: a line break in a name or an address would let its author write headers.
    if any(letter in value for letter in "\r\n\0"):
        raise ValueError("a header has one line")
    return value if value.isascii() and len(value) < _LONG else Header(value, "utf-8").encode(linesep=_END)
