"""Every case of the conformance table: refused and closed with nothing upstream, or one exact request.

Each case is sent whole and again one byte per segment.
"""

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.gateway.plane.recorder import OK, PLAIN, Recorder, saying
from tests.gateway.plane.stage import HOST, a_client, a_plane, get, on_a_loop, until, wire

TE = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"
SECOND = get(b"/second")
SECOND_WIRE = wire(b"GET /second")


def post(fields: bytes, body: bytes = b"", *, version: bytes = b"1.1", after: bytes = SECOND) -> bytes:
    return get(b"/t", fields, method=b"POST", version=version) + body + after


@dataclass
class Case:
    name: str
    sent: bytes
    statuses: list[int]
    upstream: list[bytes] = field(default_factory=list)
    """The exact requests that go on; none for a refusal."""
    open: bool = False
    """Whether the connection still works afterwards."""
    ends: str = "listening"
    """What the client does after sending: `listening`, `half_closed`."""
    bytewise: bool = True
    may_be_cut_upstream: bool = False
    """The refusal comes after the head went on: the upstream must then see a cut, never a whole request."""


def refused(name: str, sent: bytes, status: int = 400, **more: object) -> Case:
    return Case(name, sent, [status], **more)  # type: ignore[arg-type]


def passed(name: str, sent: bytes, *upstream: bytes, **more: object) -> Case:
    return Case(name, sent, [200] * len(upstream), list(upstream), open=True, **more)  # type: ignore[arg-type]


LENGTH_3 = b"Content-Length: 3\r\n"
CASES = [
    passed("plain GET, twice", get(b"/t") + SECOND, wire(b"GET /t"), SECOND_WIRE),
    passed(
        "POST with Content-Length",
        post(LENGTH_3, b"abc"),
        wire(b"POST /t", framing=LENGTH_3, body=b"abc"),
        SECOND_WIRE,
    ),
    passed(
        "POST with an empty body",
        post(b"Content-Length: 0\r\n"),
        wire(b"POST /t", framing=b"Content-Length: 0\r\n"),
        SECOND_WIRE,
    ),
    passed(
        "chunked", post(TE, b"3\r\nabc\r\n" + END), wire(b"POST /t", framing=TE, body=b"abc"), SECOND_WIRE
    ),
    passed(
        "chunk extension",
        post(TE, b"3;x=y\r\nabc\r\n" + END),
        wire(b"POST /t", framing=TE, body=b"abc"),
        SECOND_WIRE,
    ),
    passed(
        "chunked trailer field",
        post(TE + b"Trailer: x-t\r\n", b"3\r\nabc\r\n0\r\nX-T: 1\r\nHost: evil\r\n\r\n"),
        wire(b"POST /t", framing=TE, body=b"abc"),
        SECOND_WIRE,
    ),
    refused("Content-Length and Transfer-Encoding", post(b"Content-Length: 5\r\n" + TE, END)),
    refused("Transfer-Encoding and Content-Length", post(TE + b"Content-Length: 4\r\n", b"1\r\nx\r\n" + END)),
    refused("chunked stated twice", post(TE + TE, END)),
    refused("chunked, identity", post(b"Transfer-Encoding: chunked, identity\r\n", END)),
    refused("identity, chunked", post(b"Transfer-Encoding: identity, chunked\r\n", END), 501),
    refused("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", END), 501),
    refused("xchunked", post(b"Transfer-Encoding: xchunked\r\n", END), 501),
    refused("VT before chunked", post(b"Transfer-Encoding: \x0bchunked\r\n", END)),
    refused("Transfer-Encoding in HTTP/1.0", post(TE, END, version=b"1.0")),
    refused("two lengths", post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abc")),
    refused("two equal lengths", post(LENGTH_3 + LENGTH_3, b"abc")),
    refused("a list of lengths", post(b"Content-Length: 3, 3\r\n", b"abc")),
    refused("length with a sign", post(b"Content-Length: +3\r\n", b"abc")),
    refused("length in hexadecimal", post(b"Content-Length: 0x3\r\n", b"abc")),
    passed(
        "Content_Length is nothing",
        post(b"Content_Length: 9\r\n" + LENGTH_3, b"abc"),
        wire(b"POST /t", framing=LENGTH_3, body=b"abc"),
        SECOND_WIRE,
    ),
    refused("folded field", get(b"/t", b"X-A: one\r\n two\r\n") + SECOND),
    refused("bare LF", b"GET /t HTTP/1.1\nHost: h.example\nX-A: 1\n\n" + SECOND),
    refused("bare LF once", get(b"/t", b"X-A: 1\nX-B: 2\r\n") + SECOND),
    refused("bare CR in a value", get(b"/t", b"X-A: 1\rX-B: 2\r\n") + SECOND),
    refused("NUL in a value", get(b"/t", b"X-A: a\0b\r\n") + SECOND),
    refused("space before colon", get(b"/t", b"X-A : 1\r\n") + SECOND),
    refused("space before the length's colon", post(b"Content-Length : 3\r\n", b"abc")),
    refused("field that begins with a space", b"GET /t HTTP/1.1\r\n X-A: 1\r\n" + HOST + b"\r\n" + SECOND),
    refused("two hosts", get(b"/t", b"Host: evil\r\n") + SECOND),
    refused("two equal hosts", get(b"/t", HOST) + SECOND),
    refused("no host", b"GET /t HTTP/1.1\r\nX-A: 1\r\n\r\n" + SECOND),
    refused("foreign host", b"GET /t HTTP/1.1\r\nHost: evil.example\r\n\r\n" + SECOND, 421),
    refused("empty host", b"GET /t HTTP/1.1\r\nHost:\r\n\r\n" + SECOND, 421),
    passed("host with port, in capitals", b"GET /t HTTP/1.1\r\nHost: H.Example:443\r\n\r\n", wire(b"GET /t")),
    refused("absolute form", get(b"http://h.example/t?x") + SECOND),
    refused("asterisk form", get(b"*", method=b"OPTIONS") + SECOND),
    passed(
        "underscore beside hyphen",
        get(b"/t", b"X-User: good\r\nX_User: evil\r\n"),
        wire(b"GET /t", b"X-User: good\r\n"),
    ),
    passed(
        "a field twice, in two spellings",
        get(b"/t", b"X-A: 1\r\nx-a: 2\r\n"),
        wire(b"GET /t", b"X-A: 1\r\nx-a: 2\r\n"),
    ),
    passed(
        "field named by Connection",
        get(b"/t", b"X-Keep: 1\r\nX-Drop: 1\r\nConnection: x-drop\r\n"),
        wire(b"GET /t", b"X-Keep: 1\r\n"),
    ),
    passed(
        "hop-by-hop fields",
        get(b"/t", b"TE: trailers\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\n"),
        wire(b"GET /t"),
    ),
    passed("Range", get(b"/t", b"Range: bytes=0-4\r\nIf-Range: x\r\n"), wire(b"GET /t")),
    passed(
        "identity fields of a client",
        get(
            b"/t",
            b"Remote-User: a\r\nremote-groups: b\r\nX-Original-URL: c\r\nX-Forwarded-For: 6.6.6.6\r\n"
            b"X-Forwarded-Host: evil\r\nX-Forwarded-Proto: http\r\nX-Forwarded-User: d\r\n"
            b"Forwarded: for=6.6.6.6\r\n"
            b"X-Accel-Redirect: e\r\nX-Sparekey-Location: f\r\nX-Real-IP: 6.6.6.6\r\n"
            b"Client-Cert: g\r\nClient-Cert-Chain: h\r\nssl-client-cert: i\r\nX-SSL-Client-S-DN: j\r\n"
            b"X-Client-Cert-Chain: k\r\nX-Forwarded-Client-Cert: l\r\n",
        ),
        wire(b"GET /t"),
    ),
    passed(
        "our own cookies stay here",
        get(b"/t", b"Cookie: a=1; __Host-sparekey-hold=s; sparekey_portal=t; b=2\r\n"),
        wire(b"GET /t", b"Cookie: a=1; b=2\r\n"),
    ),
    passed("only our own cookie", get(b"/t", b"Cookie: __Host-sparekey-hold=s\r\n"), wire(b"GET /t")),
    refused("encoded slash", get(b"/t/a%2Fb") + SECOND),
    refused("encoded dot", get(b"/t/%2e%2E/x") + SECOND),
    refused("encoded backslash", get(b"/t/a%5cb") + SECOND),
    refused("encoded NUL", get(b"/t/%00") + SECOND),
    refused("encoded line end", get(b"/t/%0d%0aX: 1") + SECOND),
    refused("encoded letter", get(b"/%72ealms/x") + SECOND),
    refused("encoded letter of our prefix", get(b"/%73parekey/x") + SECOND),
    refused("encoded hyphen", get(b"/realms/my%2Drealm/protocol/openid-connect/token") + SECOND),
    refused("encoded underscore", get(b"/oauth2/access%5ftoken") + SECOND),
    refused("encoded tilde", get(b"/%7Ealice") + SECOND),
    refused("broken escape", get(b"/t/%zz") + SECOND),
    refused("cut escape", get(b"/t/%4") + SECOND),
    refused("double slash", get(b"/t//a") + SECOND),
    refused("double slash in front", get(b"//evil.example/t") + SECOND),
    refused("semicolon", get(b"/t;a=b") + SECOND),
    refused("backslash", get(b"/t\\a") + SECOND),
    refused("dot segment", get(b"/t/./a") + SECOND),
    refused("dot dot segment", get(b"/t/../a") + SECOND),
    refused("dot dot at the end", get(b"/t/..") + SECOND),
    refused("dot dot under our prefix", get(b"/sparekey/../a") + SECOND),
    refused("double slash under our prefix", get(b"/sparekey//a") + SECOND),
    passed("dots in names", get(b"/t/.well-known/a..b/...c"), wire(b"GET /t/.well-known/a..b/...c")),
    passed(
        "escapes that mean nothing else", get(b"/t/%20%C3%A9%25%3F%23"), wire(b"GET /t/%20%C3%A9%25%3F%23")
    ),
    passed(
        "any printable query",
        get(b"/t?a=%2F%2e%00%zz&b=x+y&&c='\"<>|{}[]^`\\;//../%72"),
        wire(b"GET /t?a=%2F%2e%00%zz&b=x+y&&c='\"<>|{}[]^`\\;//../%72"),
    ),
    passed("empty query", get(b"/t?"), wire(b"GET /t?")),
    refused("non-ASCII path", get(b"/t/caf\xc3\xa9") + SECOND),
    refused("non-ASCII query", get(b"/t?q=\xff") + SECOND),
    refused("control byte in the query", get(b"/t?q=\x01") + SECOND),
    refused("DEL in the query", get(b"/t?q=\x7f") + SECOND),
    refused("tab in the target", get(b"/t?q=\t") + SECOND),
    refused("fragment", get(b"/t#frag") + SECOND),
    passed(
        "non-ASCII value",
        get(b"/t", b"X-L: caf\xe9 \xc3\xa9\r\n"),
        wire(b"GET /t", b"X-L: caf\xe9 \xc3\xa9\r\n"),
    ),
    refused("CONNECT", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + SECOND),
    refused("unknown method", get(b"/t", method=b"FOO") + SECOND),
    refused("method in lower case", get(b"/t", method=b"get") + SECOND),
    refused("TRACE", get(b"/t", method=b"TRACE") + SECOND, 501),
    refused("HTTP/2.0", get(b"/t", version=b"2.0") + SECOND),
    refused("HTTP/0.9", get(b"/t", version=b"0.9") + SECOND),
    refused("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
    refused("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32),
    refused(
        "cut body",
        post(b"Content-Length: 10\r\n", b"0123", after=b""),
        ends="half_closed",
        may_be_cut_upstream=True,
    ),
    refused("cut chunk", post(TE, b"3\r\nabc\r\n", after=b""), ends="half_closed", may_be_cut_upstream=True),
    refused("bad chunk size", post(TE, b"3\r\nabc\r\nzz\r\n"), may_be_cut_upstream=True),
    refused("bad end of a chunk", post(TE, b"3\r\nabcXX\r\n" + END), may_be_cut_upstream=True),
    refused("bare LF in chunks", post(TE, b"3\nabc\n0\n\n"), may_be_cut_upstream=True),
    refused("huge chunk size", post(TE, b"fffffffffffffffff\r\nabc\r\n"), may_be_cut_upstream=True),
    refused("other expectation", get(b"/t", b"Expect: 200-ok\r\n") + SECOND, 417),
    refused("large field", get(b"/t", b"X-A: " + b"a" * 65536 + b"\r\n") + SECOND, 431, bytewise=False),
    refused("large target", get(b"/t?" + b"a" * 65536) + SECOND, 431, bytewise=False),
    passed(
        "16 kB field",
        get(b"/t", b"X-A: " + b"a" * 16000 + b"\r\n"),
        wire(b"GET /t", b"X-A: " + b"a" * 16000 + b"\r\n"),
        bytewise=False,
    ),
    refused("200 fields", get(b"/t", b"".join(b"X-%d: 1\r\n" % n for n in range(200))) + SECOND, 431),
    refused(
        "WebSocket",
        get(b"/t", b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n") + SECOND,
        501,
    ),
    refused(
        "h2c",
        get(b"/t", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n")
        + SECOND,
        501,
    ),
    passed("Upgrade that Connection does not name", get(b"/t", b"Upgrade: websocket\r\n"), wire(b"GET /t")),
    Case(
        "nothing after a refusal",
        get(b"/ok") + get(b"/bad", b"Bad Header\r\n") + SECOND,
        [200, 400],
        [wire(b"GET /ok")],
    ),
    Case(
        "nothing after Connection: close",
        get(b"/t", b"Connection: close\r\n") + SECOND,
        [200],
        [wire(b"GET /t")],
    ),
    Case("HTTP/1.0", get(b"/t", version=b"1.0") + SECOND, [200], [wire(b"GET /t")]),
    Case("HTTP/1.0 without a host", b"GET /t HTTP/1.0\r\n\r\n", [200], [wire(b"GET /t")]),
    Case(
        "HTTP/1.0 keep-alive",
        get(b"/t", b"Connection: keep-alive\r\n", version=b"1.0") + SECOND,
        [200],
        [wire(b"GET /t")],
    ),
]


WAYS = [
    pytest.param(case, bytewise, id=f"{case.name}, {'bytewise' if bytewise else 'whole'}")
    for case in CASES
    for bytewise in ([False, True] if case.bytewise else [False])
]


@pytest.mark.parametrize(("case", "bytewise"), WAYS)
@on_a_loop
async def test_each_request_is_refused_or_reaches_the_upstream_in_exactly_one_form(
    case: Case, bytewise: bool
) -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane:
        async with a_client(plane) as client:
            await client.send(case.sent, bytewise=bytewise)
            if case.ends == "half_closed":
                client.writer.write_eof()
            responses = [await client.response() for _ in case.statuses]
            assert [response.status for response in responses] == case.statuses
            if case.open:
                assert (await client.asks(get(b"/alive"))).body == b"ok\n"
            else:
                assert await client.closed()
                assert b"Connection: close\r\n" in responses[-1].head
        await assert_nothing_else_went_on(case, upstream, plane)


async def assert_nothing_else_went_on(case: Case, upstream: Recorder, plane: object) -> None:
    """A later request is the only other thing that the upstream saw."""
    async with a_client(plane) as client:  # type: ignore[arg-type]
        await client.asks(get(b"/marker"))
    expected = case.upstream + ([wire(b"GET /alive")] if case.open else []) + [wire(b"GET /marker")]
    if case.may_be_cut_upstream and len(upstream.requests) > len(expected):
        cut = upstream.requests.pop(0)
        await upstream.until(lambda: cut.ended != "reading")
        assert cut.ended == "cut"
        assert cut.head.startswith(b"POST /t HTTP/1.1\r\nHost: h.example\r\n")
    assert upstream.wire == expected
    assert "cut" not in upstream.endings


@pytest.mark.parametrize("fields", [b"Content-Length: 10\r\n", TE])
@on_a_loop
async def test_a_client_that_leaves_within_a_body_leaves_a_cut_request_upstream(fields: bytes) -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane:
        async with a_client(plane) as client:
            await client.send(post(fields, b"3\r\nabc\r\n", after=b""))
            await upstream.until(lambda: bool(upstream.requests))
        await upstream.until(lambda: upstream.endings == ["cut"])


@on_a_loop
async def test_a_client_that_expects_100_gets_it_and_the_upstream_never_sees_the_expectation() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.send(post(LENGTH_3 + b"Expect: 100-continue\r\n", after=b""))
        assert (await client.response()).status == 100
        await client.send(b"abc")
        assert (await client.response()).body == b"ok\n"
        assert upstream.wire == [wire(b"POST /t", framing=LENGTH_3, body=b"abc")]


@on_a_loop
async def test_head_has_the_length_and_no_body_and_the_connection_stays_in_step() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.send(get(b"/t", method=b"HEAD") + SECOND)
        head = await client.response(to_head=True)
        assert head.values(b"content-length") == [b"3"]
        assert (await client.response()).body == b"ok\n"
        assert upstream.connections == 1


@on_a_loop
async def test_a_body_reaches_the_upstream_while_the_client_still_sends() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.send(post(b"Content-Length: 10\r\n", b"01234", after=b""))
        await upstream.until(lambda: bool(upstream.requests) and upstream.requests[0].body == b"01234")
        await client.send(b"56789")
        assert (await client.response()).status == 200
        assert upstream.requests[0].body == b"0123456789"


@on_a_loop
async def test_many_pipelined_requests_are_answered_in_order_up_to_a_bound() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.send(b"".join(get(b"/t?%d" % number) for number in range(50)))
        answers = 0
        while not client.reader.at_eof():
            try:
                response = await client.response()
            except asyncio.IncompleteReadError:
                break
            answers += 1
        assert b"Connection: close\r\n" in response.head
        assert 1 < answers < 50
        assert upstream.wire == [wire(b"GET /t?%d" % number) for number in range(answers)]


# The upstream's side.

CUT_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 50\r\n\r\n<form></form>"
CHUNKED = PLAIN + TE + b"\r\n"
UPSTREAM_CASES = {
    "cut by length": (saying(PLAIN + b"Content-Length: 10\r\n\r\n01234", then_close=True), 200, False),
    "cut by chunk": (saying(CHUNKED + b"5\r\n01234\r\n", then_close=True), 200, False),
    "bad chunk": (saying(CHUNKED + b"5\r\n01234XX\r\n0\r\n\r\n"), 200, False),
    "length and chunked": (
        saying(PLAIN + b"Content-Length: 3\r\n" + TE + b"\r\n3\r\none\r\n0\r\n\r\n"),
        502,
        True,
    ),
    "gzip, chunked": (saying(PLAIN + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 502, True),
    "identity coding": (saying(PLAIN + b"Transfer-Encoding: identity\r\n\r\nok"), 502, True),
    "two lengths": (saying(PLAIN + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok\n"), 502, True),
    "two equal lengths": (saying(PLAIN + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nok\n"), 502, True),
    "folded field": (saying(PLAIN + b"X-A: one\r\n two\r\nContent-Length: 3\r\n\r\nok\n"), 502, True),
    "bare LF": (saying(b"HTTP/1.1 200 OK\nContent-Length: 3\n\nok\n"), 502, True),
    "switches protocols": (
        saying(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        502,
        True,
    ),
    "nonsense": (saying(b"SSH-2.0-OpenSSH\r\n"), 502, True),
    "closes at once": (saying(b"", then_close=True), 502, True),
    "closes within the head": (saying(PLAIN, then_close=True), 502, True),
    "endless head": (saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 20000), 502, True),
    "many fields": (
        saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 300 + b"\r\n", then_close=True),
        502,
        True,
    ),
}


@pytest.mark.parametrize("name", UPSTREAM_CASES)
@on_a_loop
async def test_an_upstream_that_misbehaves_never_looks_complete(name: str) -> None:
    answer, status, complete = UPSTREAM_CASES[name]
    async with Recorder({"/t": answer}) as upstream, a_plane(upstream) as plane:
        async with a_client(plane) as client:
            response = await client.asks(get(b"/t"))
            if response.status != 502:
                assert (response.status, response.complete) == (status, complete)
            else:
                assert b"reference: <code>" in response.body
            assert await client.closed()
        async with a_client(plane) as client:
            assert (await client.asks(get(b"/next"))).body == b"ok\n"


@on_a_loop
async def test_bytes_after_an_answer_reach_nobody() -> None:
    extra = saying(PLAIN + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
    async with Recorder({"/t": extra}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        assert (await client.asks(get(b"/t"))).body == b"ok"
        assert (await client.asks(get(b"/next"))).body == b"ok\n"
        assert upstream.connections == 2


@on_a_loop
async def test_bytes_that_nobody_asked_for_end_the_connection_before_the_next_request() -> None:
    async def later(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await answered.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")

    answered = asyncio.Event()
    async with Recorder({"/t": later}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        assert (await client.asks(get(b"/t"))).body == b"ok\n"
        (kept,) = plane._upstream._idle
        answered.set()
        await until(lambda: plane._upstream._idle == [])
        assert not kept.is_usable
        assert (await client.asks(get(b"/next"))).body == b"ok\n"
        assert upstream.connections == 2


@on_a_loop
async def test_a_body_where_none_may_be_reaches_nobody() -> None:
    wrong = saying(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nPOISON")
    async with Recorder({"/t": wrong}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        assert (await client.asks(get(b"/t"))).status == 304
        assert (await client.asks(get(b"/next"))).body == b"ok\n"
        assert upstream.connections == 2


@on_a_loop
async def test_interim_answers_are_skipped() -> None:
    early = saying(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    async with Recorder({"/t": early}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        response = await client.asks(get(b"/t"))
        assert (response.status, response.body, response.values(b"link")) == (200, b"ok\n", [])
        assert (await client.asks(get(b"/next"))).body == b"ok\n"
        assert upstream.connections == 1


@on_a_loop
async def test_answer_fields_pass_in_exact_bytes_without_hop_by_hop_and_what_is_ours() -> None:
    fields = (
        b"Set-Cookie: a=1\r\nX-Lat: caf\xe9\r\nset-cookie: b=2; Path=/\r\nX_Und: u\r\n"
        b"Connection: x-hop\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nService-Worker-Allowed: /\r\nSet-Cookie: __Host-sparekey-hold=evil\r\n"
        b'Set-Cookie: SpareKey_portal=evil\r\nETag: "x"\r\n'
    )
    answer = saying(PLAIN + fields + b"Content-Length: 3\r\n\r\nok\n")
    async with Recorder({"/t": answer}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        response = await client.asks(get(b"/t"))
        assert response.head == PLAIN + (
            b'Set-Cookie: a=1\r\nX-Lat: caf\xe9\r\nset-cookie: b=2; Path=/\r\nX_Und: u\r\nETag: "x"\r\n'
            b"Content-Length: 3\r\n\r\n"
        )


@on_a_loop
async def test_an_answer_streams_while_it_is_made() -> None:
    go_on = asyncio.Event()

    async def slowly(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with Recorder({"/t": slowly}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.send(get(b"/t"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked\r\n" in head
        go_on.set()
        assert await client.reader.readuntil(END) == b"3\r\ntwo\r\n" + END


@on_a_loop
async def test_an_answer_without_length_lasts_until_the_upstream_closes() -> None:
    answer = saying(PLAIN + b"\r\nall of it", then_close=True)
    async with Recorder({"/t": answer}) as upstream, a_plane(upstream) as plane:
        async with a_client(plane) as client:
            response = await client.asks(get(b"/t"))
            assert (response.body, response.complete) == (b"all of it", True)
        async with a_client(plane) as client:
            old = await client.asks(get(b"/t", version=b"1.0"))
            assert (old.body, old.values(b"transfer-encoding")) == (b"all of it", [])


@on_a_loop
async def test_an_answer_cut_within_http_1_0_is_torn_and_never_ends_in_order() -> None:
    answer = saying(CHUNKED + b"5\r\n01234\r\n", then_close=True)
    async with Recorder({"/t": answer}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        response = await client.asks(get(b"/t", version=b"1.0"))
        assert not response.complete


@on_a_loop
async def test_an_answer_before_the_end_of_the_request_ends_both_connections() -> None:
    async def refuse_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        closed.append(await reader.read(-1) is not None)
        writer.close()

    closed: list[bool] = []
    server = await asyncio.start_server(refuse_early, "127.0.0.1", 0)
    async with server, a_plane(server.sockets[0].getsockname()[1]) as plane, a_client(plane) as client:
        await client.send(post(b"Content-Length: 10\r\n", b"01", after=b""))
        response = await client.response()
        assert (response.body, response.values(b"connection")) == (b"ok\n", [b"close"])
        assert await client.closed()
    assert closed == [True]
