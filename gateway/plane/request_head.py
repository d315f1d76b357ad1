"""One request head: refused, or understood in exactly one way. Pure: no connection is known here."""

import re
from dataclasses import dataclass

from gateway.plane.client_address import TrustedProxies
from gateway.plane.origin import Origin
from gateway.plane.rewriting import (
    Field,
    Treatment,
    Treatments,
    named_by_connection,
    request_treatment,
    without_named,
    without_own_cookies,
)
from gateway.plane.verdict import Headers

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"})
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})

TARGET = re.compile(rb'/[!-"$-~]*')
"""Origin form only, printable ASCII, no fragment (S8)."""

NON_CANONICAL_PATH = re.compile(
    rb"//|[;\\]|/\.\.?(?:/|\Z)"
    # Encoded slash, backslash and controls; whatever needs no encoding (dots and hyphens, letters and
    # digits), which only hides a path from a rule about it; and escapes that are none.
    # Source: RFC 3986 section 2.3, unreserved characters.
    rb"|%(?:2[DdEeFf]|5[CcFf]|[01][0-9A-Fa-f]|7[EeFf]"
    rb"|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]"
    rb"|(?![0-9A-Fa-f]{2}))"
)
"""Two readings of one path are two requests (S8)."""

DIGITS = re.compile(rb"[0-9]{1,18}")

treatments = Treatments(request_treatment)
PASS, DROP = Treatment.PASS, Treatment.DROP


class Refused(Exception):
    """This request is not passed on, and the connection ends with it.

    Args:
        status: HTTP status of the answer.
        why: A word for the log and the metrics.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(slots=True)
class Rules:
    """What a head is read by: the same for a whole listener."""

    origin: Origin
    proxies: TrustedProxies


@dataclass(slots=True)
class Peer:
    """Who is at the other end of the connection."""

    address: str
    trusted: bool
    """Whether its forwarding fields are believed."""


@dataclass(slots=True)
class RequestHead:
    """What one request head says, after everything that may not pass was taken out."""

    method: bytes
    target: bytes
    path: bytes
    """The target without the query."""
    client: str
    """The person's address after trusted proxies were believed."""
    passed: list[Field]
    """For the identity provider: as sent, without what is dropped, framing, `Host`, our own cookies and
    `Accept-Encoding`."""
    is_http_1_0: bool
    keep_alive: bool
    fields: Headers = ()
    """For us: the same with our own cookies and `Accept-Encoding`."""
    accept_encoding: bytes = b""
    host: bytes = b""
    """As sent; empty in HTTP/1.0 without it."""
    length: int | None = None
    """The stated Content-Length."""
    chunked: bool = False
    expects_continue: bool = False
    is_service_worker: bool = False

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow the head."""
        return self.chunked or bool(self.length)


Stated = dict[Treatment, list[Field]]
"""The fields that mean something to us, by what they mean."""


def read_head(
    method: bytes, target: bytes, version: str, fields: list[Field], *, rules: Rules, peer: Peer
) -> RequestHead:
    """Understand one request head.

    Args:
        fields: Names and values as the parser gave them, in order.

    Raises:
        Refused: With the status of the answer.

    Source: RFC 9112 sections 3 and 6; `docs/threat-model.md` S8, S13.
    """
    if version not in {"1.1", "1.0"}:
        raise Refused(400, "version")
    if method not in METHODS:
        raise Refused(400 if method == b"CONNECT" else 501, "method")
    path = checked_path(target)
    passed, stated = _sorted(fields)
    is_http_1_0 = version == "1.0"
    head = RequestHead(method, target, path, peer.address, passed, is_http_1_0, not is_http_1_0)
    _read_forwarding(head, stated, rules, peer)
    head.fields = tuple(passed)
    if len(stated) > 1 or Treatment.HOST not in stated:
        _read_framing(head, stated)
        _read_rest(head, stated)
    return head


def checked_path(target: bytes) -> bytes:
    """Return the path, and refuse whatever could be read in two ways.

    Raises:
        Refused: 400.
    """
    if not TARGET.fullmatch(target):
        raise Refused(400, "target")
    path = target.partition(b"?")[0]
    if NON_CANONICAL_PATH.search(path):
        raise Refused(400, "path")
    return path


def _sorted(fields: list[Field]) -> tuple[list[Field], Stated]:
    passed: list[Field] = []
    stated: Stated = {}
    known = treatments.known
    for field in fields:
        try:
            treatment = known[field[0]]
        except KeyError:
            treatment = treatments.learn(field[0])
        if treatment is PASS:
            passed.append(field)
        elif treatment is not DROP:
            stated.setdefault(treatment, []).append(field)
    return passed, stated


def _only(stated: Stated, treatment: Treatment) -> bytes | None:
    """Return the value of a field that may stand once.

    Security: of two values, two readers choose two.
    """
    fields = stated.get(treatment)
    if fields is None:
        return None
    if len(fields) > 1:
        raise Refused(400, "twice")
    return fields[0][1]


def _read_framing(head: RequestHead, stated: Stated) -> None:
    """Accept one framing only.

    Spec: RFC 9112 section 6.3 allows a proxy to repair two framings; every repair is a request that
    somebody else reads differently.
    """
    transfer = _only(stated, Treatment.TRANSFER)
    length = _only(stated, Treatment.LENGTH)
    if transfer is not None:
        if transfer.lower() != b"chunked":
            raise Refused(501, "transfer_encoding")
        if length is not None or head.is_http_1_0:
            raise Refused(400, "framing")
        head.chunked = True
    elif length is not None:
        if not DIGITS.fullmatch(length):
            raise Refused(400, "length")
        head.length = int(length)


def _read_forwarding(head: RequestHead, stated: Stated, rules: Rules, peer: Peer) -> None:
    """Check the host, and learn the client's address; of a trusted proxy both are believed."""
    host = _only(stated, Treatment.HOST)
    if host is None and not head.is_http_1_0:
        raise Refused(400, "no_host")
    if peer.trusted:
        head.client = rules.proxies.client(
            peer.address,
            [value for _, value in stated.get(Treatment.FORWARDED_FOR, ())],
            [value for _, value in stated.get(Treatment.FORWARDED, ())],
        )
        if Treatment.FORWARDED_HOST in stated:
            host = stated[Treatment.FORWARDED_HOST][-1][1]
    if host is None:
        return
    # Security: a foreign name would reach caches, and the links in pages and mails.
    if not rules.origin.is_named(host):
        raise Refused(421, "host")
    head.host = host


def _read_rest(head: RequestHead, stated: Stated) -> None:
    seen = head.passed
    if Treatment.CONNECTION in stated:
        connection = b",".join(value for _, value in stated[Treatment.CONNECTION])
        names = named_by_connection(connection)
        if b"upgrade" in names:
            raise Refused(501, "upgrade")
        head.keep_alive = head.keep_alive and b"close" not in names
        head.passed = seen = without_named(seen, connection)
    if Treatment.SERVICE_WORKER in stated:
        head.is_service_worker = True
        head.passed = seen = seen + stated[Treatment.SERVICE_WORKER]
    if Treatment.COOKIE in stated:
        cookies = stated[Treatment.COOKIE]
        seen = seen + cookies
        theirs = [(name, without_own_cookies(value)) for name, value in cookies]
        head.passed = head.passed + [cookie for cookie in theirs if cookie[1]]
    if Treatment.ACCEPT_ENCODING in stated:
        seen = seen + stated[Treatment.ACCEPT_ENCODING]
        head.accept_encoding = b", ".join(value for _, value in stated[Treatment.ACCEPT_ENCODING])
    expect = _only(stated, Treatment.EXPECT)
    if expect is not None:
        if expect.lower() != b"100-continue":
            raise Refused(417, "expect")
        head.expects_continue = not head.is_http_1_0
    head.fields = tuple(seen)
