"""One head of the identity provider's answers: understood in exactly one way, or misbehaviour. Pure."""

import functools
from dataclasses import dataclass

from gateway.plane.rewriting import (
    Field,
    Treatment,
    Treatments,
    is_own_cookie,
    response_treatment,
    without_named,
)

MOST_FIELDS = 200
NO_BODY = frozenset({204, 304})

treatments = Treatments(response_treatment)
PASS, VALIDATOR, CONNECTION, DROP = (
    Treatment.PASS,
    Treatment.VALIDATOR,
    Treatment.CONNECTION,
    Treatment.DROP,
)


class MisbehavedError(Exception):
    """The identity provider's answer cannot be understood."""


@dataclass(slots=True)
class ResponseHead:
    """What one answer's head says, after everything that may not pass was taken out."""

    status: int
    status_line: bytes
    """Without line end."""
    fields: list[Field]
    """As sent, without framing and what is dropped."""
    no_body: bool
    """No body follows, whatever the framing says."""
    length: bytes | None = None
    """The stated Content-Length."""
    coding: bytes = b""
    """Value of `Content-Encoding`."""
    chunked: bool = False

    @property
    def until_close(self) -> bool:
        """Whether the body ends with the connection."""
        return self.length is None and not self.chunked and not self.no_body


def read_response_head(status: int, reason: bytes, fields: list[Field], *, to_head: bool) -> ResponseHead:
    """Understand one head.

    Args:
        to_head: It answers a HEAD request.

    Raises:
        MisbehavedError: Framing that somebody else may read differently.

    Source: RFC 9112 section 6.3.
    """
    if len(fields) > MOST_FIELDS:
        raise MisbehavedError
    passed: list[Field] = []
    no_body = to_head or status in NO_BODY
    head = ResponseHead(status, _status_line(status, reason), passed, no_body)
    connection = b""
    known = treatments.known
    for field in fields:
        try:
            treatment = known[field[0]]
        except KeyError:
            treatment = treatments.learn(field[0])
        if treatment is PASS or treatment is VALIDATOR:
            passed.append(field)
        elif treatment is CONNECTION:
            connection = connection + b"," + field[1] if connection else field[1]
        elif treatment is not DROP:
            _special(head, treatment, field)
    if connection:
        head.fields = without_named(passed, connection)
    return head


@functools.lru_cache(maxsize=256)
def _status_line(status: int, reason: bytes) -> bytes:
    return b"HTTP/1.1 %d %b" % (status, reason)


def _special(head: ResponseHead, treatment: Treatment, field: Field) -> None:
    value = field[1]
    match treatment:
        case Treatment.LENGTH:
            if head.length is not None:
                raise MisbehavedError
            head.length = value
        case Treatment.TRANSFER:
            if head.chunked or value.lower() != b"chunked":
                raise MisbehavedError
            head.chunked = True
        case Treatment.SET_COOKIE:
            if not is_own_cookie(value):
                head.fields.append(field)
        case _:
            head.coding = head.coding + b"," + value if head.coding else value
            head.fields.append(field)
