"""Sizes, time-outs, back-pressure, stale connections and the graceful stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.plane import upstream as upstream_module
from gateway.plane.connection import Connection
from gateway.plane.observe import REFUSALS
from gateway.plane.rim import Plane
from tests.gateway.plane.recorder import OK, PLAIN, Recorded, Recorder
from tests.gateway.plane.stage import Client, a_client, a_plane, get, on_a_loop, until, wire

SHORT = 0.2
LENGTH_3 = b"Content-Length: 3\r\n"
LENGTH_100 = b"Content-Length: 100\r\n"
BUFFERED_AT_MOST = 1 << 20


def only_connection(plane: Plane) -> Connection:
    (connection,) = plane._listener._connections
    return connection


@contextlib.asynccontextmanager
async def a_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Yield the port of an upstream that behaves as the function says."""
    writers: list[asyncio.StreamWriter] = []

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(serving, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def assert_refused(client: Client, status: int) -> None:
    response = await client.response()
    assert response.status == status
    assert b"reference: <code>" in response.body
    assert await client.closed()


# Sizes.


@pytest.mark.parametrize("target", [b"/t", b"/sparekey/t"])
@on_a_loop
async def test_a_body_that_states_too_much_is_refused_before_anybody_is_asked(target: bytes) -> None:
    limits = {"local_body_bytes": 2000, "proxied_body_bytes": 2000}
    async with Recorder() as upstream, a_plane(upstream, limits=limits) as plane, a_client(plane) as client:
        await client.send(get(target, b"Content-Length: 2001\r\n", method=b"POST"))
        await assert_refused(client, 413)
        assert upstream.requests == []


@pytest.mark.parametrize("target", [b"/t", b"/sparekey/t"])
@on_a_loop
async def test_a_chunked_body_that_grows_too_large_is_refused_and_cut(target: bytes) -> None:
    limits = {"local_body_bytes": 2000, "proxied_body_bytes": 2000}
    async with Recorder() as upstream, a_plane(upstream, limits=limits) as plane, a_client(plane) as client:
        await client.send(get(target, b"Transfer-Encoding: chunked\r\n", method=b"POST"))
        for _ in range(3):
            await client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        await assert_refused(client, 413)
        await upstream.until(lambda: "reading" not in upstream.endings)
        assert upstream.endings in ([], ["cut"])


@on_a_loop
async def test_a_refused_client_that_goes_on_sending_can_still_read_why() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.send(get(b"/sparekey/t", b"Content-Length: 50000000\r\n", method=b"POST"))
        for _ in range(50):
            await client.send(b"x" * 65536)
            await client.writer.drain()
        await assert_refused(client, 413)


# Time-outs.


@pytest.mark.parametrize("sent", [b"GET /t HTTP/1.1\r\nHo", get(b"/t") + b"G", b"G"])
@on_a_loop
async def test_a_head_that_does_not_end_is_refused_however_slowly_it_comes(sent: bytes) -> None:
    async with (
        Recorder() as upstream,
        a_plane(upstream, timeouts={"head": SHORT}) as plane,
        a_client(plane) as client,
    ):
        await client.send(sent)
        if sent.startswith(get(b"/t")):
            assert (await client.response()).status == 200

        async def drip() -> None:
            while not client.writer.is_closing():
                client.writer.write(b"x")
                await asyncio.sleep(SHORT / 5)

        dripping = asyncio.create_task(drip())
        response = await client.response()
        dripping.cancel()
        # A drip may also be what cannot be parsed; the point is that it ends.
        assert response.status in {400, 408}


@on_a_loop
async def test_a_body_that_stops_coming_is_refused_and_cut() -> None:
    async with (
        Recorder() as upstream,
        a_plane(upstream, timeouts={"body": SHORT}) as plane,
        a_client(plane) as client,
    ):
        await client.send(get(b"/t", LENGTH_3, method=b"POST") + b"a")
        await assert_refused(client, 408)
        await upstream.until(lambda: upstream.endings == ["cut"])


@on_a_loop
async def test_a_body_for_our_own_pages_may_not_come_drop_by_drop() -> None:
    async with (
        Recorder() as upstream,
        a_plane(upstream, timeouts={"body": 0.4}) as plane,
        a_client(plane) as client,
    ):
        await client.send(get(b"/sparekey/reset", b"Content-Length: 5000\r\n", method=b"POST"))

        async def drip() -> None:
            while True:
                await client.send(b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        try:
            await assert_refused(client, 408)
        finally:
            dripping.cancel()


@on_a_loop
async def test_a_connection_too_many_is_closed_at_once_and_counted() -> None:
    before = REFUSALS.labels("connections")._value.get()
    async with Recorder() as upstream, a_plane(upstream, limits={"connections": 2}) as plane:
        async with a_client(plane) as first, a_client(plane) as second:
            assert (await first.asks(get(b"/t"))).status == 200
            assert (await second.asks(get(b"/t"))).status == 200
            async with a_client(plane) as third:
                assert await third.closed()
            assert (await first.asks(get(b"/t"))).status == 200
        await until(lambda: not plane._listener._connections)
        async with a_client(plane) as fourth:
            assert (await fourth.asks(get(b"/t"))).status == 200
    assert REFUSALS.labels("connections")._value.get() == before + 1


@on_a_loop
async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with (
        Recorder() as upstream,
        a_plane(upstream, timeouts={"idle": SHORT}) as plane,
        a_client(plane) as fresh,
        a_client(plane) as used,
    ):
        assert (await used.asks(get(b"/t"))).status == 200
        assert await fresh.closed()
        assert await used.closed()


@on_a_loop
async def test_an_upstream_that_is_down_gives_502_with_a_reference() -> None:
    async with Recorder() as upstream:
        port = upstream.port
    async with a_plane(port) as plane, a_client(plane) as client:
        await client.send(get(b"/t"))
        await assert_refused(client, 502)


@on_a_loop
async def test_an_upstream_that_never_gets_connected_gives_504() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    # The handshake of TLS is part of connecting, and never ends here.
    async with (
        a_server(silent) as port,
        a_plane(port, scheme="https", timeouts={"connect": SHORT}) as plane,
        a_client(plane) as client,
    ):
        await client.send(get(b"/t"))
        await assert_refused(client, 504)


@on_a_loop
async def test_an_upstream_that_does_not_answer_gives_504() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(await reader.read(-1))

    ended: list[bytes] = []
    async with a_server(silent) as port, a_plane(port, timeouts={"upstream": SHORT}) as plane:
        async with a_client(plane) as client:
            await client.send(get(b"/t"))
            await assert_refused(client, 504)
        await until(lambda: ended == [wire(b"GET /t")])


@on_a_loop
async def test_an_answer_that_stops_coming_is_cut() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(PLAIN + b"Content-Length: 10\r\n\r\n01234")
        await reader.read(-1)

    async with (
        a_server(half) as port,
        a_plane(port, timeouts={"upstream": SHORT}) as plane,
        a_client(plane) as client,
    ):
        response = await client.asks(get(b"/t"))
        assert (response.status, response.complete) == (200, False)


@on_a_loop
async def test_a_page_of_ours_that_takes_too_long_gives_503() -> None:
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        asyncio.run_coroutine_threadsafe(waiting.wait(), loop).result(10)
        start_response("200 OK", [])
        return [b""]

    async with (
        Recorder() as upstream,
        a_plane(upstream, application=slow, timeouts={"upstream": SHORT}) as plane,
    ):
        async with a_client(plane) as client:
            await client.send(get(b"/sparekey/"))
            await assert_refused(client, 503)
        waiting.set()


# Back-pressure.


async def endless(request: Recorded, writer: asyncio.StreamWriter) -> None:
    writer.write(PLAIN + b"Content-Length: 209715200\r\n\r\n")
    for _ in range(200):
        writer.write(b"x" * (1 << 20))
        await writer.drain()


@on_a_loop
async def test_a_reader_that_stalls_costs_a_bounded_amount_and_is_torn_in_the_end() -> None:
    async with (
        Recorder({"/big": endless}) as upstream,
        a_plane(upstream, timeouts={"body": 2 * SHORT}) as plane,
        a_client(plane) as client,
    ):
        client.writer.transport.pause_reading()
        await client.send(get(b"/big"))
        await until(lambda: bool(plane._listener._connections) and only_connection(plane).is_stalled)
        assert only_connection(plane)._transport.get_write_buffer_size() < BUFFERED_AT_MOST
        await until(lambda: not plane._listener._connections)
        await until(lambda: upstream.open_connections == 0)


@on_a_loop
async def test_a_reader_that_was_slow_gets_every_byte() -> None:
    async def large(request: Recorded, writer: asyncio.StreamWriter) -> None:
        writer.write(PLAIN + b"Content-Length: 33554432\r\n\r\n" + bytes(range(256)) * 131072)

    async with Recorder({"/big": large}) as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        client.writer.transport.pause_reading()
        await client.send(get(b"/big"))
        await until(lambda: bool(plane._listener._connections) and only_connection(plane).is_stalled)
        client.writer.transport.resume_reading()
        response = await client.response()
        assert response.body == bytes(range(256)) * 131072
        assert (await client.asks(get(b"/t"))).body == b"ok\n"


@on_a_loop
async def test_an_upstream_that_stalls_costs_a_bounded_amount_and_gives_504() -> None:
    async with Recorder() as upstream:
        upstream.may_read_bodies.clear()
        limits = {"proxied_body_bytes": 1 << 30}
        async with (
            a_plane(upstream, limits=limits, timeouts={"upstream": 2 * SHORT}) as plane,
            a_client(plane) as client,
        ):
            await client.send(get(b"/t", b"Content-Length: 209715200\r\n", method=b"POST"))

            async def push() -> None:
                with contextlib.suppress(ConnectionError):
                    for _ in range(200):
                        client.writer.write(b"y" * (1 << 20))
                        await client.writer.drain()

            pushing = asyncio.create_task(push())
            await until(lambda: bool(plane._listener._connections) and not only_connection(plane)._reading)
            front = only_connection(plane).turns[0]
            assert front._upstream._transport.get_write_buffer_size() < BUFFERED_AT_MOST
            assert (await client.response()).status == 504
            pushing.cancel()


@on_a_loop
async def test_an_upload_to_an_upstream_that_was_slow_arrives_in_full() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        upstream.may_read_bodies.clear()
        body = bytes(range(256)) * 32768
        await client.send(get(b"/t", b"Content-Length: %d\r\n" % len(body), method=b"POST"))
        client.writer.write(body)
        await until(lambda: bool(plane._listener._connections) and not only_connection(plane)._reading)
        upstream.may_read_bodies.set()
        assert (await client.response()).status == 200
        assert upstream.requests[0].body == body


@on_a_loop
async def test_a_client_that_had_to_wait_for_the_upstream_gets_its_full_time_again() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        upstream.may_read_bodies.clear()
        await client.send(get(b"/t", b"Content-Length: 33554432\r\n", method=b"POST") + b"x" * (1 << 25))
        await upstream.until(lambda: bool(upstream.requests))
        connection = only_connection(plane)
        await until(lambda: connection.turns[0]._full)
        connection.heard = 0
        connection.turns[0].upstream_full(full=False)
        assert connection.heard > 0


@on_a_loop
async def test_a_body_chopped_very_small_goes_on_in_few_pieces() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        chunks = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
        await client.send(get(b"/t", b"Transfer-Encoding: chunked\r\n", method=b"POST") + chunks)
        assert (await client.response()).status == 200
        assert upstream.requests[0].body == b"x" * 20_000
        assert upstream.requests[0].pieces < 200


# Stale connections.


def closes_on_the_second(seen: list[bytes]) -> Callable[..., Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        seen.append(await reader.readuntil(b"\r\n\r\n"))

    return serve


@on_a_loop
async def test_a_get_on_a_connection_that_died_is_sent_again_once() -> None:
    seen: list[bytes] = []
    async with (
        a_server(closes_on_the_second(seen)) as port,
        a_plane(port) as plane,
        a_client(plane) as client,
    ):
        assert (await client.asks(get(b"/1"))).status == 200
        assert (await client.asks(get(b"/2"))).status == 200
    assert seen == [wire(b"GET /1"), wire(b"GET /2"), wire(b"GET /2")]


@on_a_loop
async def test_a_post_on_a_connection_that_died_is_never_sent_again() -> None:
    seen: list[bytes] = []
    async with (
        a_server(closes_on_the_second(seen)) as port,
        a_plane(port) as plane,
        a_client(plane) as client,
    ):
        assert (await client.asks(get(b"/1"))).status == 200
        await client.send(get(b"/2", b"Content-Length: 0\r\n", method=b"POST"))
        await assert_refused(client, 502)
    assert len(seen) == 2


@on_a_loop
async def test_a_get_that_dies_on_a_fresh_connection_is_not_sent_again() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))

    async with a_server(serve) as port, a_plane(port) as plane, a_client(plane) as client:
        await client.send(get(b"/1"))
        await assert_refused(client, 502)
    assert len(seen) == 1


@on_a_loop
async def test_a_post_never_takes_a_connection_that_has_been_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "FRESH_SECONDS", 0.0)
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        await client.asks(get(b"/1"))
        await client.asks(get(b"/2"))
        assert upstream.connections == 1
        await client.asks(get(b"/3", b"Content-Length: 0\r\n", method=b"POST"))
        assert upstream.connections == 2


@on_a_loop
async def test_idle_connections_to_the_upstream_are_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_module, "IDLE_SECONDS", SHORT)
    async with (
        Recorder() as upstream,
        a_plane(upstream, timeouts={"head": SHORT}) as plane,
        a_client(plane) as client,
    ):
        await client.asks(get(b"/1"))
        await upstream.until(lambda: upstream.open_connections == 0)


# Stopping.


@on_a_loop
async def test_a_stop_lets_requests_in_flight_end_and_takes_no_more() -> None:
    go_on = asyncio.Event()

    async def slow(request: Recorded, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(OK)

    async with Recorder({"/slow": slow}) as upstream, a_plane(upstream) as plane:
        async with a_client(plane) as busy, a_client(plane) as idle:
            await idle.asks(get(b"/t"))
            await busy.send(get(b"/slow"))
            await upstream.until(lambda: len(upstream.requests) == 2)
            stopping = asyncio.create_task(plane.stop())
            assert await idle.closed()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", plane.port)
            assert not stopping.done()
            go_on.set()
            response = await busy.response()
            assert (response.body, response.values(b"connection")) == (b"ok\n", [b"close"])
            await stopping
        await upstream.until(lambda: upstream.open_connections == 0)


@on_a_loop
async def test_a_stop_tears_what_does_not_end_in_time() -> None:
    async def never(request: Recorded, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with (
        Recorder({"/slow": never}) as upstream,
        a_plane(upstream, timeouts={"stop": SHORT}) as plane,
        a_client(plane) as client,
    ):
        await client.send(get(b"/slow"))
        await upstream.until(lambda: bool(upstream.requests))
        await plane.stop()
        assert await client.closed()
