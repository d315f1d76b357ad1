"""Our own pages through the rim: the WSGI environment, bodies, faults, and the second listener."""

import asyncio
import json
import threading
from typing import Any

import pytest

from gateway.plane.observe import Observer
from gateway.plane.rim import OperationsListener
from tests.gateway.plane.recorder import Recorder
from tests.gateway.plane.stage import Client, a_client, a_plane, echo, get, on_a_loop, settings


def tells(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    facts = {key: value for key, value in environ.items() if isinstance(value, str)}
    facts["body"] = environ["wsgi.input"].read().decode("latin-1")
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    )
    return [json.dumps(facts).encode()]


@on_a_loop
async def test_the_environment_is_that_of_the_public_origin() -> None:
    async with (
        Recorder() as upstream,
        a_plane(upstream, application=tells) as plane,
        a_client(plane) as client,
    ):
        fields = (
            b"Cookie: a=1\r\nCookie: b=2\r\nX-A: 1\r\nX-A: 2\r\nContent-Type: text/x\r\nX_Evil: 1\r\n"
            b"Remote-User: evil\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 3\r\n"
        )
        response = await client.asks(get(b"/sparekey/r%C3%A9set?a=%2F&b", fields, method=b"POST") + b"abc")
        facts = json.loads(response.body)
        assert upstream.requests == []
    assert len(facts.pop("sparekey.reference")) == 8
    assert facts == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/sparekey/r\xc3\xa9set",
        "QUERY_STRING": "a=%2F&b",
        "REQUEST_URI": "/sparekey/r%C3%A9set?a=%2F&b",
        "SERVER_NAME": "h.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "h.example",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_A": "1,2",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "wsgi.url_scheme": "https",
        "body": "abc",
    }
    assert response.values(b"set-cookie") == [b"a=1", b"b=2"]
    assert len(response.values(b"date")) == 1


@pytest.mark.parametrize(
    ("target", "ours"),
    [
        (b"/sparekey", True),
        (b"/sparekey/", True),
        (b"/sparekey?x", True),
        (b"/sparekey/reset?x", True),
        (b"/.well-known/change-password", True),
        (b"/.well-known/change-password/x", False),
        (b"/.well-known/openid-configuration", False),
        (b"/sparekeys", False),
        (b"/Sparekey/", False),
        (b"/x/sparekey/", False),
    ],
)
@on_a_loop
async def test_only_what_is_ours_comes_to_us(target: bytes, ours: bool) -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane, a_client(plane) as client:
        assert (await client.asks(get(target))).status == 200
        assert bool(upstream.requests) is not ours


@on_a_loop
@pytest.mark.parametrize("request_bytes", [get(b"/sparekey/"), get(b"/sparekey/", method=b"POST")])
async def test_each_request_is_answered_by_one_call(request_bytes: bytes) -> None:
    calls: list[str] = []

    def counts(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        return tells(environ, start_response)

    async with (
        Recorder() as upstream,
        a_plane(upstream, application=counts) as plane,
        a_client(plane) as client,
    ):
        for _ in range(5):
            await client.asks(request_bytes)
    assert calls == ["/sparekey/"] * 5


@on_a_loop
async def test_a_chunked_body_arrives_whole_and_trailers_do_not() -> None:
    async with (
        Recorder() as upstream,
        a_plane(upstream, application=tells) as plane,
        a_client(plane) as client,
    ):
        request = get(b"/sparekey/", b"Transfer-Encoding: chunked\r\n", method=b"POST")
        await client.send(request + b"3\r\nabc\r\n3\r\ndef\r\n0\r\nX-Trailer: evil\r\n\r\n")
        facts = json.loads((await client.response()).body)
        assert (facts["body"], facts["CONTENT_LENGTH"]) == ("abcdef", "6")
        assert "HTTP_X_TRAILER" not in facts
        again = json.loads((await client.asks(get(b"/sparekey/"))).body)
        assert "HTTP_X_TRAILER" not in again


@on_a_loop
async def test_no_thread_waits_for_a_body() -> None:
    threads = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        threads.append(threading.current_thread().name)
        return echo(environ, start_response)

    async with Recorder() as upstream, a_plane(upstream, application=app, threads=1) as plane:
        async with a_client(plane) as waits, a_client(plane) as quick:
            await waits.send(
                get(b"/sparekey/a", b"Content-Length: 3\r\nExpect: 100-continue\r\n", method=b"POST")
            )
            assert (await waits.response()).status == 100
            assert (await quick.asks(get(b"/sparekey/b"))).body == b"GET /sparekey/b 0"
            await waits.send(b"abc")
            assert (await waits.response()).body == b"POST /sparekey/a 3"
        assert all(name.startswith("pages") for name in threads)


@on_a_loop
async def test_head_and_answers_without_a_body_stay_in_step() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"].endswith("204"):
            start_response("204 NO CONTENT", [])
            return []
        start_response("200 OK", [("Content-Length", "5")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]

    async with Recorder() as upstream, a_plane(upstream, application=app) as plane, a_client(plane) as client:
        head = await client.asks(get(b"/sparekey/x", method=b"HEAD"), to_head=True)
        assert head.values(b"content-length") == [b"5"]
        assert (await client.asks(get(b"/sparekey/204"))).values(b"content-length") == []
        assert (await client.asks(get(b"/sparekey/x"))).body == b"hello"


def raises(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise KeyError("a secret")


def splits(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("302 FOUND", [("Location", "/x\r\nSet-Cookie: evil=1")])
    return []


def never_starts(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return [b"x"]


@pytest.mark.parametrize("app", [raises, splits, never_starts])
@on_a_loop
async def test_a_fault_in_our_pages_gives_a_reference_and_nothing_else(app: Any) -> None:
    async with Recorder() as upstream, a_plane(upstream, application=app) as plane, a_client(plane) as client:
        response = await client.asks(get(b"/sparekey/"))
        assert response.status == 500
        assert b"reference: <code>" in response.body
        assert b"secret" not in response.body
        assert b"evil" not in response.head


@on_a_loop
async def test_an_application_that_writes_and_closes_is_served_and_closed() -> None:
    closed = threading.Event()

    class Pieces(list[bytes]):
        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Pieces:
        write = start_response("200 OK", [])
        write(b"one ")
        return Pieces([b"two ", b"three"])

    async with Recorder() as upstream, a_plane(upstream, application=app) as plane, a_client(plane) as client:
        assert (await client.asks(get(b"/sparekey/"))).body == b"one two three"
        assert closed.is_set()


@on_a_loop
async def test_a_service_worker_is_refused_under_our_prefix_only() -> None:
    async with Recorder() as upstream, a_plane(upstream) as plane:
        async with a_client(plane) as client:
            assert (await client.asks(get(b"/sparekey/w.js", b"Service-Worker: script\r\n"))).status == 403
        async with a_client(plane) as client:
            assert (await client.asks(get(b"/w.js", b"Service-Worker: script\r\n"))).status == 200


@on_a_loop
async def test_more_requests_than_can_wait_are_told_so() -> None:
    go_on = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        go_on.wait(10)
        return echo(environ, start_response)

    async with Recorder() as upstream, a_plane(upstream, application=app, threads=1) as plane:
        plane._bridge._most = 3
        clients: list[Client] = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
            clients.append(Client(reader, writer))
            await clients[-1].send(get(b"/sparekey/"))
        busy = [asyncio.create_task(client.response()) for client in clients]
        done, _ = await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status for task in done] == [503]
        go_on.set()
        assert sorted([(await task).status for task in busy]) == [200, 200, 200, 503]
        for client in clients:
            client.writer.close()


@on_a_loop
async def test_a_client_that_leaves_while_its_page_is_made_harms_nobody() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"].endswith("slow"):
            begun.set()
            go_on.wait(10)
        return echo(environ, start_response)

    async with Recorder() as upstream, a_plane(upstream, application=app) as plane:
        async with a_client(plane) as client:
            await client.send(get(b"/sparekey/slow"))
            await asyncio.to_thread(begun.wait, 10)
        go_on.set()
        async with a_client(plane) as client:
            assert (await client.asks(get(b"/sparekey/next"))).status == 200


@on_a_loop
async def test_the_operations_listener_serves_its_application_under_any_name() -> None:
    listener = OperationsListener(
        settings(operations="127.0.0.1:0"), application=tells, observer=Observer(None)
    )
    await listener.start()
    async with a_client(listener) as client:
        request = b"GET /sparekey/health/live HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n\r\n"
        facts = json.loads((await client.asks(request)).body)
        assert (facts["PATH_INFO"], facts["HTTP_HOST"]) == ("/sparekey/health/live", "127.0.0.1:9090")
        assert (await client.asks(request.replace(b"/sparekey", b"/"))).status == 400
    await listener.stop()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", listener.port)
