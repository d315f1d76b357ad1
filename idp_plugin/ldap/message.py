"""LDAP messages: requests as bytes, and what came back taken apart.

No more than this package asks for. Whatever a server sends that is not as it should be is `ber.Malformed`.
Source: RFC 4511.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from idp_plugin import ber
from idp_plugin.ldap import filter as ldap_filter

Control = tuple[str, bool, bytes | None]
"""Number, whether the server must refuse when it does not know it, and value."""
Change = tuple[int, str, Sequence[bytes]]
"""What to do, the attribute, and its values."""

ADD, DELETE, REPLACE = 0, 1, 2
SUCCESS = 0
BIND_ANSWER, ENTRY, SEARCH_ANSWER, MODIFY_ANSWER, EXTENDED_ANSWER = 0x61, 0x64, 0x65, 0x67, 0x78
PASSED_OVER = frozenset({0x73, 0x79})
"""References to other servers, and intermediate answers."""
_BIND, _UNBIND, _SEARCH, _MODIFY, _EXTENDED = 0x60, 0x42, 0x63, 0x66, 0x77
_CONTROLS = 0xA0
_SIMPLE = 0x80
_EXTENSION, _EXTENSION_VALUE = 0x80, 0x81
_WHOSE, _OLD, _NEW = 0x80, 0x81, 0x82
_VERSION = 3
_BASE, _SUBTREE = 0, 2
_TRUE, _FALSE = b"\xff", b"\x00"

START_TLS = "1.3.6.1.4.1.1466.20037"
_MODIFY_PASSWORD = "1.3.6.1.4.1.4203.1.11.1"  # noqa: S105 - an object identifier

UNBIND = ber.element(_UNBIND, b"")


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the server."""

    id: int
    tag: int
    """Which operation, or which answer."""
    content: bytes = field(repr=False)
    controls: Mapping[str, bytes] = field(repr=False)
    """Values by number; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended."""

    code: int
    diagnostic: str = field(repr=False)


def bind(dn: str, password: bytes) -> bytes:
    """Encode a simple bind."""
    return ber.sequence([ber.integer(_VERSION), ber.text(dn), ber.text(password, _SIMPLE)], _BIND)


def search(base: str, filter_: str, attributes: Sequence[str], *, limit: int, below: bool) -> bytes:
    """Encode a search that follows no aliases.

    Raises:
        ValueError: The filter is none.
    """
    return ber.sequence(
        [
            ber.text(base),
            ber.integer(_SUBTREE if below else _BASE, ber.ENUMERATED),
            ber.integer(0, ber.ENUMERATED),
            ber.integer(limit),
            ber.integer(0),
            ber.element(ber.BOOLEAN, _FALSE),
            ldap_filter.encoded(filter_),
            ber.sequence(map(ber.text, attributes)),
        ],
        _SEARCH,
    )


def modify(dn: str, changes: Iterable[Change]) -> bytes:
    """Encode changes of one entry: all are made, or none."""
    encoded = [
        ber.sequence(
            [
                ber.integer(what, ber.ENUMERATED),
                ber.sequence([ber.text(attribute), ber.sequence(map(ber.text, values), ber.SET)]),
            ]
        )
        for what, attribute, values in changes
    ]
    return ber.sequence([ber.text(dn), ber.sequence(encoded)], _MODIFY)


def extended(number: str, value: bytes | None = None) -> bytes:
    """Encode an extended operation."""
    parts = [ber.text(number, _EXTENSION)]
    if value is not None:
        parts.append(ber.text(value, _EXTENSION_VALUE))
    return ber.sequence(parts, _EXTENDED)


def modify_password(dn: str, new: str, old: str | None) -> bytes:
    """Encode a change of somebody's password.

    Source: RFC 3062.
    """
    parts = [ber.text(dn, _WHOSE), ber.text(new, _NEW)]
    if old is not None:
        parts.insert(1, ber.text(old, _OLD))
    return extended(_MODIFY_PASSWORD, ber.sequence(parts))


def enveloped(id_: int, operation: bytes, controls: Sequence[Control] = ()) -> bytes:
    """Encode a whole message."""
    parts = [ber.integer(id_), operation]
    if controls:
        parts.append(ber.sequence(map(_control, controls), _CONTROLS))
    return ber.sequence(parts)


def opened(content: bytes) -> Message:
    """Take a message apart, given without its outermost tag and length.

    Raises:
        Malformed: It is none.
    """
    match ber.elements(content):
        case [(ber.INTEGER, id_), (tag, body)]:
            return Message(ber.number(id_), tag, body, {})
        case [(ber.INTEGER, id_), (tag, body), (_, controls)]:
            return Message(ber.number(id_), tag, body, dict(map(_answered, ber.elements(controls))))
        case _:
            raise ber.Malformed


def result(message: Message) -> Result:
    """Return how the operation ended; whom it refers to is left alone.

    Raises:
        Malformed: It says nothing of the kind.
    """
    match ber.elements(message.content):
        case [(ber.ENUMERATED, code), (_, _), (_, diagnostic), *_]:
            return Result(ber.number(code), diagnostic.decode("utf-8", "replace"))
        case _:
            raise ber.Malformed


def entry(message: Message) -> tuple[str, dict[str, tuple[bytes, ...]]]:
    """Return the DN of a found entry, and its values by lower-case attribute.

    Raises:
        Malformed: It is none.
        UnicodeDecodeError: Its DN is no text.
    """
    match ber.elements(message.content):
        case [(_, dn), (_, attributes)]:
            return dn.decode("utf-8"), dict(_attribute(each) for _, each in ber.elements(attributes))
        case _:
            raise ber.Malformed


def _attribute(content: bytes) -> tuple[str, tuple[bytes, ...]]:
    match ber.elements(content):
        case [(_, name), (_, values)]:
            return name.decode("ascii").lower(), tuple(value for _, value in ber.elements(values))
        case _:
            raise ber.Malformed


def _control(control: Control) -> bytes:
    number, critical, value = control
    parts = [ber.text(number)]
    if critical:
        parts.append(ber.element(ber.BOOLEAN, _TRUE))
    if value is not None:
        parts.append(ber.text(value))
    return ber.sequence(parts)


def _answered(control: tuple[int, bytes]) -> tuple[str, bytes]:
    match ber.elements(control[1]):
        case [(_, number), (ber.BOOLEAN, _), (_, value)] | [(_, number), (ber.OCTET_STRING, value)]:
            return number.decode("ascii"), value
        case [(_, number), *_]:
            return number.decode("ascii"), b""
        case _:
            raise ber.Malformed
