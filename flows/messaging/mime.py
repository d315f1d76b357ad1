"""Mail as it goes over the wire: some headers, a text, and the same as a page.

Put together by the older half of the `email` package: the newer parses every header anew and takes four times
as long.
"""

from collections.abc import Mapping
from email.charset import QP, Charset
from email.header import Header
from email.message import Message as Mail
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32

_CHARSET = Charset("utf-8")
# Base64, the default, looks like something to hide to those who sort mail.
_CHARSET.body_encoding = QP
_WITH_CRLF = compat32.clone(linesep="\r\n")
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
    mail = _body(text, html)
    for name, value in headers.items():
        mail[name] = _one_line(value)
    return mail.as_bytes(policy=_WITH_CRLF)


def _body(text: str, html: str | None) -> Mail:
    if html is None:
        return _part("plain", text)
    return MIMEMultipart("alternative", _subparts=[_part("plain", text), _part("html", html)])


def _part(subtype: str, text: str) -> Mail:
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part.set_payload(text, _CHARSET)
    return part


def _one_line(value: str) -> str:
    # Security: a line break in a name or an address would let its author write headers.
    if any(letter in value for letter in "\r\n\0"):
        raise ValueError("a header has one line")
    return value if value.isascii() and len(value) < _LONG else Header(value, "utf-8").encode()
