"""Cookies in header fields, read strictly: where a name occurs twice nobody chooses for us.

Source: RFC 6265 sections 4.2.1 and 5.2.
"""

from dataclasses import dataclass, field

from idp_plugin.base import Exchange

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One `Set-Cookie` field."""

    value: bytes = field(repr=False)
    path: bytes
    """Empty where the field names none."""
    removes: bool
    """It makes the browser forget the cookie."""


def cookies_sent(exchange: Exchange, name: bytes) -> list[bytes]:
    """Return every value that the browser sent under a name."""
    values = []
    for field_name, field_value in exchange.request_headers:
        if field_name.lower() == b"cookie":
            pairs = (pair.strip().partition(b"=") for pair in field_value.split(b";"))
            values += [value for key, _, value in pairs if key == name]
    return values


def cookies_set(exchange: Exchange, name: bytes) -> list[SetCookie]:
    """Return every `Set-Cookie` of the response under a name, removals too."""
    start = name + b"="
    return [
        _read(value)
        for field_name, value in exchange.response_headers
        if field_name.lower() == b"set-cookie" and value.lstrip().startswith(start)
    ]


def _read(field_value: bytes) -> SetCookie:
    pair, *attributes = field_value.split(b";")
    value = pair.partition(b"=")[2].strip().strip(b'"')
    named = {}
    for attribute in attributes:
        key, _, given = attribute.strip().partition(b"=")
        named[key.strip().lower()] = given.strip()
    lifetime = named.get(b"max-age", b"")
    ends = lifetime == b"0" or lifetime.startswith(b"-") or b"1970" in named.get(b"expires", b"")
    return SetCookie(value, named.get(b"path", b""), removes=ends or not value)
