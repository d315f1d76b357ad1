"""What passes byte for byte, what is read whole, and what a verdict does to it."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as some

from gateway.plane.content_encoding import decoded
from gateway.plane.verdict import Asked, Headers, Pass, PassAll, Replace, Verdict
from idp_plugin.base import Exchange
from tests.gateway.plane.recorder import OK, PLAIN, Recorder, saying
from tests.gateway.plane.stage import HOST, Client, Response, a_client, a_plane, get, on_a_loop, wire

HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"


def page(body: bytes, fields: bytes = b"") -> bytes:
    return HTML + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


@dataclass
class Reader(PassAll):
    """Reads HTML and redirects whole, and gives a chosen verdict."""

    verdict: Callable[[Exchange], Verdict] = lambda _: Pass()
    seen: list[tuple[Asked, Exchange]] = field(default_factory=list)
    waits: bool = False

    def keeps_request_body(self, asked: Asked) -> bool:
        return asked.method == b"POST"

    def wants_identity(self, asked: Asked) -> bool:
        return asked.target.startswith(b"/realms/")

    def needs_body(self, asked: Asked, status: int, headers: Headers) -> bool:
        html = any(
            name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers
        )
        return html or 300 <= status < 400

    async def examine(self, asked: Asked, exchange: Exchange) -> Verdict:
        self.seen.append((asked, exchange))
        if self.waits:
            await asyncio.to_thread(lambda: None)
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
        return self.verdict(exchange)


async def through(answer: bytes, reader: Any, request: bytes = b"", **changes: Any) -> Response:
    """Ask once through a plane whose upstream answers with exact bytes."""
    async with (
        Recorder({"/realms/t": saying(answer)}) as upstream,
        a_plane(upstream, interceptor=reader, **changes) as plane,
        a_client(plane) as client,
    ):
        request = request or get(b"/realms/t")
        return await client.asks(request, to_head=request.startswith(b"HEAD"))


async def around(answer: bytes) -> Response:
    async with Recorder({"/realms/t": saying(answer)}) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        response = await Client(reader, writer).asks(get(b"/realms/t"))
        writer.close()
        return response


TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOT_PASSED = {
    b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
    b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"http2-settings",
    b"service-worker-allowed", b"content-encoding", b"content-type", b"set-cookie",
}  # fmt: skip
names = (
    some.lists(some.sampled_from(TOKEN), min_size=1, max_size=12)
    .map(bytes)
    .filter(lambda name: name.lower() not in NOT_PASSED)
)
values = some.lists(
    some.sampled_from([byte for byte in range(256) if byte >= 0x20 and byte != 0x7F]), max_size=20
).map(lambda value: bytes(value).strip())
fields_of_answers = some.lists(some.tuples(names, values), max_size=8)


@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
@hypothesis.given(
    status=some.sampled_from([200, 201, 206, 302, 400, 401, 404, 500, 503]),
    fields=fields_of_answers,
    kind=some.sampled_from([b"text/plain", b"application/json", b"text/css", b"text/html", b""]),
    body=some.binary(max_size=3000),
    pieces=some.integers(0, 5),
    reads=some.booleans(),
)
def test_any_answer_is_the_same_through_and_around(
    status: int, fields: list[tuple[bytes, bytes]], kind: bytes, body: bytes, pieces: int, reads: bool
) -> None:
    lines = [b"HTTP/1.1 %d Some Reason" % status]
    lines += [b"Content-Type: " + kind] if kind else []
    lines += [b"%b: %b" % pair for pair in fields]
    if pieces:
        size = len(body) // pieces + 1
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        lines.append(b"Transfer-Encoding: chunked")
        raw = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
        raw = body
    answer = b"\r\n".join(lines) + b"\r\n\r\n" + raw

    @on_a_loop
    async def compare() -> None:
        direct = await around(answer)
        passed = await through(answer, Reader() if reads else PassAll())
        assert passed.body == direct.body == body
        framing = (b"content-length", b"transfer-encoding")
        assert [line for line in passed.head.split(b"\r\n") if not line.lower().startswith(framing)] == [
            line for line in direct.head.split(b"\r\n") if not line.lower().startswith(framing)
        ]

    compare()


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after waiting"])
@on_a_loop
async def test_a_changed_page_gets_its_own_length_and_loses_what_spoke_of_the_old_bytes(waits: bool) -> None:
    old = b'ETag: "x"\r\nLast-Modified: x\r\nContent-MD5: x\r\nSet-Cookie: a=1\r\nAccept-Ranges: bytes\r\n'
    reader = Reader(lambda seen: Pass(((b"X-New", b"1"),), seen.response_body.upper()), waits=waits)
    response = await through(page(b"<p>hello", old), reader)
    assert response.body == b"<P>HELLO"
    assert response.head == HTML + b"Set-Cookie: a=1\r\nX-New: 1\r\nContent-Length: 8\r\n\r\n"


@on_a_loop
async def test_a_passed_page_is_the_same_bytes_with_added_fields_last() -> None:
    response = await through(page(b"<p>hello", b'ETag: "x"\r\n'), Reader(lambda _: Pass(((b"X-New", b"1"),))))
    assert response.body == b"<p>hello"
    assert response.head == HTML + b'ETag: "x"\r\nX-New: 1\r\nContent-Length: 8\r\n\r\n'


@pytest.mark.parametrize("keep", [True, False])
@on_a_loop
async def test_a_replaced_answer_keeps_only_cookies_and_only_where_asked(keep: bool) -> None:
    answer = (
        b"HTTP/1.1 302 Found\r\nLocation: http://rp/?code=secret\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
    )
    verdict = Replace(303, ((b"Location", b"/sparekey/hold/1"),), keep_cookies=keep)
    response = await through(answer + b"Content-Length: 0\r\n\r\n", Reader(lambda _: verdict))
    assert response.status == 303
    assert response.values(b"location") == [b"/sparekey/hold/1"]
    assert response.values(b"set-cookie") == ([b"a=1", b"b=2"] if keep else [])
    assert b"secret" not in response.head


@on_a_loop
async def test_the_interceptor_sees_the_exchange_as_it_was() -> None:
    reader = Reader()
    request = (
        b"POST /realms/t?a=%2F HTTP/1.1\r\n" + HOST + b"Cookie: KC=1; __Host-sparekey-hold=s\r\n"
        b"Remote-User: evil\r\nContent-Length: 9\r\n\r\nscope=a+b"
    )
    answer = page(b"<p>", b"Set-Cookie: a=1\r\nSet-Cookie: __Host-sparekey-x=evil\r\n")
    await through(answer, reader, request)
    ((asked, exchange),) = reader.seen
    assert (asked.method, asked.target, asked.client) == (b"POST", b"/realms/t?a=%2F", "127.0.0.1")
    assert asked.headers == ((b"Cookie", b"KC=1; __Host-sparekey-hold=s"),)
    assert exchange.request_headers == asked.headers
    assert exchange.request_body == b"scope=a+b"
    assert (exchange.status, exchange.response_body) == (200, b"<p>")
    assert exchange.response_headers == (
        (b"Content-Type", b"text/html; charset=utf-8"), (b"Set-Cookie", b"a=1"),
    )  # fmt: skip


@on_a_loop
async def test_a_request_body_too_large_to_keep_still_passes() -> None:
    reader = Reader()
    body = b"x" * 70_000
    request = b"POST /realms/t HTTP/1.1\r\n" + HOST + b"Content-Length: 70000\r\n\r\n" + body
    async with Recorder({"/realms/t": saying(page(b"<p>"))}) as upstream:
        async with a_plane(upstream, interceptor=reader) as plane, a_client(plane) as client:
            await client.asks(request)
        assert upstream.requests[0].body == body
    assert reader.seen[0][1].request_body == b""


@on_a_loop
async def test_identity_is_asked_for_only_where_a_page_may_be_changed() -> None:
    async with Recorder() as upstream, a_plane(upstream, interceptor=Reader()) as plane:
        async with a_client(plane) as client:
            fields = b"Accept-Encoding: gzip, br\r\n"
            await client.asks(get(b"/realms/x", fields))
            await client.asks(get(b"/realms/y"))
            await client.asks(get(b"/resources/x", fields))
        assert upstream.wire == [
            wire(b"GET /realms/x", b"Accept-Encoding: identity\r\n"),
            wire(b"GET /realms/y", b"Accept-Encoding: identity\r\n"),
            wire(b"GET /resources/x", fields),
        ]


@on_a_loop
async def test_a_page_compressed_all_the_same_is_read_and_passed_as_it_came() -> None:
    reader = Reader()
    packed = gzip.compress(b"<p>hello")
    response = await through(page(packed, b"Content-Encoding: gzip\r\n"), reader)
    assert response.body == packed
    assert response.values(b"content-encoding") == [b"gzip"]
    exchange = reader.seen[0][1]
    assert exchange.response_body == b"<p>hello"
    assert exchange.response_headers == ((b"Content-Type", b"text/html; charset=utf-8"),)


@on_a_loop
async def test_a_compressed_page_that_is_changed_goes_out_plain() -> None:
    reader = Reader(lambda seen: Pass(body=seen.response_body + b"!"))
    response = await through(page(gzip.compress(b"<p>"), b"Content-Encoding: gzip\r\n"), reader)
    assert (response.body, response.values(b"content-encoding")) == (b"<p>!", [])


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"br", b"??"),
        (b"gzip", b"not gzip"),
        (b"gzip", gzip.compress(b"x" * 200_000, mtime=0)),
        (b"gzip, gzip", b"x"),
    ],
    ids=["unknown", "broken", "too large", "twice"],
)
@on_a_loop
async def test_a_page_that_cannot_be_read_is_never_passed_unread(coding: bytes, body: bytes) -> None:
    reader = Reader()
    answer = page(body, b"Content-Encoding: " + coding + b"\r\n")
    response = await through(answer, reader, limits={"page_bytes": 100_000})
    assert (response.status, reader.seen) == (502, [])


def test_encodings_are_undone_exactly_or_not_at_all() -> None:
    text = b"hello" * 100
    assert decoded(text, b"", 10_000) == text
    assert decoded(text, b"Identity", 10_000) == text
    assert decoded(gzip.compress(text), b"GZIP", 10_000) == text
    assert decoded(zlib.compress(text), b"deflate", 10_000) == text
    assert decoded(zlib.compress(text)[2:-4], b"deflate", 10_000) == text
    assert decoded(gzip.compress(text), b"gzip", 499) is None
    assert decoded(gzip.compress(text)[:-1], b"gzip", 10_000) is None
    assert decoded(gzip.compress(text) + gzip.compress(b"second"), b"gzip", 10_000) is None


@on_a_loop
async def test_a_page_too_large_to_be_read_is_never_passed_unread() -> None:
    reader = Reader()
    response = await through(page(b"x" * 2000), reader, limits={"page_bytes": 1999})
    assert (response.status, reader.seen) == (502, [])
    assert (await through(page(b"x" * 2000), reader, limits={"page_bytes": 2000})).status == 200


@on_a_loop
async def test_a_page_that_is_cut_is_never_examined() -> None:
    reader = Reader()
    cut = saying(HTML + b"Content-Length: 50\r\n\r\n<form></form>", then_close=True)
    async with (
        Recorder({"/realms/t": cut}) as upstream,
        a_plane(upstream, interceptor=reader) as plane,
        a_client(plane) as client,
    ):
        assert (await client.asks(get(b"/realms/t"))).status == 502
    assert reader.seen == []


@on_a_loop
async def test_a_fault_in_the_examination_never_lets_the_answer_out() -> None:
    def fails(exchange: Exchange) -> Verdict:
        raise KeyError("code")

    response = await through(page(b"secret"), Reader(fails))
    assert response.status == 500
    assert b"secret" not in response.body
    assert b"reference: <code>" in response.body


@on_a_loop
async def test_an_examination_that_takes_too_long_gives_504() -> None:
    class Forever(Reader):
        async def examine(self, asked: Asked, exchange: Exchange) -> Verdict:
            await asyncio.Event().wait()
            raise AssertionError

    response = await through(page(b"secret"), Forever(), timeouts={"upstream": 0.2, "stop": 0.2})
    assert response.status == 504


@on_a_loop
async def test_an_examination_goes_on_when_the_client_leaves() -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()
    go_on = asyncio.Event()

    class Slow(Reader):
        async def examine(self, asked: Asked, exchange: Exchange) -> Verdict:
            begun.set()
            await go_on.wait()
            ended.set()
            return Pass()

    async with (
        Recorder({"/realms/t": saying(page(b"<p>"))}) as upstream,
        a_plane(upstream, interceptor=Slow()) as plane,
    ):
        async with a_client(plane) as client:
            await client.send(get(b"/realms/t"))
            await begun.wait()
        go_on.set()
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("verdict", [Pass(), Pass(body=b"new"), Replace(200, (), b"new")])
@on_a_loop
async def test_an_answer_to_head_never_has_a_body(verdict: Verdict) -> None:
    answer = HTML + b"Content-Encoding: gzip\r\nContent-Length: 1234\r\n\r\n"
    async with (
        Recorder({"/realms/t": saying(answer)}) as upstream,
        a_plane(upstream, interceptor=Reader(lambda _: verdict)) as plane,
        a_client(plane) as client,
    ):
        response = await client.asks(get(b"/realms/t", method=b"HEAD"), to_head=True)
        if verdict == Pass():
            assert response.values(b"content-length") == [b"1234"]
        assert (await client.asks(get(b"/next"))).body == b"ok\n"


@pytest.mark.parametrize("status", [204, 304])
@on_a_loop
async def test_an_answer_without_a_body_states_none(status: int) -> None:
    answer = b'HTTP/1.1 %d X\r\nETag: "x"\r\n\r\n' % status
    async with Recorder({"/realms/t": saying(answer)}) as upstream:
        async with a_plane(upstream, interceptor=Reader()) as plane, a_client(plane) as client:
            assert (await client.asks(get(b"/realms/t"))).head == answer
            assert (await client.asks(get(b"/next"))).body == b"ok\n"
        assert upstream.connections == 1


@on_a_loop
async def test_a_redirect_of_the_upstream_is_left_alone() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/x\r\nContent-Length: 0\r\n\r\n"
    assert (await through(answer, Reader())).head == answer


@on_a_loop
async def test_connections_to_the_upstream_are_shared_and_used_again() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane:
        for number in range(5):
            async with a_client(plane) as client:
                assert (await client.asks(get(b"/%d" % number))).body == OK[len(PLAIN) + 21 :]
        assert upstream.connections == 1
