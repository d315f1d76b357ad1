"""A plane between a raw client and a recording upstream, all on one event loop."""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from gateway.plane.observe import Observer
from gateway.plane.rim import Plane
from gateway.plane.verdict import Interceptor, PassAll
from gateway.settings import GatewaySettings
from tests.gateway.plane.recorder import Recorder

HOST = b"Host: h.example\r\n"


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test on uvloop; a fault in a callback fails it."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        faults: list[dict[str, Any]] = []

        def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # A recorder that still waited when the test was over is cancelled with the loop.
            if not isinstance(context.get("exception"), asyncio.CancelledError):
                faults.append(context)

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(note)
            async with asyncio.timeout(30):
                await test(*args, **kwargs)

        uvloop.run(watched())
        assert not faults, faults

    return run


def settings(**changes: Any) -> GatewaySettings:
    return GatewaySettings(**{"public": "https://h.example", "listen": "127.0.0.1:0", **changes})


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Our own pages in these tests: say who was asked for what."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)}".encode()]


@contextlib.asynccontextmanager
async def a_plane(
    upstream: Recorder | int,
    *,
    interceptor: Interceptor | None = None,
    application: Any = echo,
    observer: Observer | None = None,
    scheme: str = "http",
    tls_ca: Path | None = None,
    **changes: Any,
) -> AsyncIterator[Plane]:
    """Yield a plane in front of a recorder or a port; stop it afterwards."""
    port = upstream if isinstance(upstream, int) else upstream.port
    plane = Plane(
        settings(**changes),
        idp_address=f"{scheme}://127.0.0.1:{port}",
        tls_ca=tls_ca,
        application=application,
        interceptor=interceptor or PassAll(),
        observer=observer or Observer(None),
    )
    await plane.start()
    try:
        yield plane
    finally:
        await plane.stop()


async def until(fact: Callable[[], bool]) -> None:
    """Wait until something is so; nothing tells us when, so look often."""
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110 - the plane knows nothing of tests
            await asyncio.sleep(0.005)


@dataclass
class Response:
    status: int
    head: bytes
    body: bytes
    complete: bool

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field, in order."""
        return re.findall(rb"(?im)^%b: *(.*?)\r$" % re.escape(name), self.head)


class Client:
    """A client that sends what it is told, and reads answers without any of the plane's code."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes, *, bytewise: bool = False) -> None:
        if not bytewise:
            self.writer.write(data)
            return
        for byte in data:
            if self.writer.is_closing():
                return
            self.writer.write(bytes((byte,)))
            for _ in range(3):
                await asyncio.sleep(0)

    async def response(self, *, to_head: bool = False) -> Response:
        """Read one answer, interim ones included."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        response = Response(int(head[9:12]), head, b"", complete=True)
        if to_head or response.status in {100, 204, 304}:
            return response
        try:
            await self._read_body(response)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            response.body += getattr(error, "partial", b"")
            response.complete = False
        return response

    async def _read_body(self, response: Response) -> None:
        if response.values(b"transfer-encoding") == [b"chunked"]:
            while True:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                piece = await self.reader.readexactly(size + 2)
                response.body += piece[:-2]
                if size == 0:
                    return
        lengths = response.values(b"content-length")
        if lengths:
            (length,) = lengths
            response.body = await self.reader.readexactly(int(length))
        else:
            response.body = await self.reader.read(-1)

    async def closed(self) -> bool:
        """Wait for the end, and tell whether nothing came before it."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def asks(self, head: bytes, *, to_head: bool = False) -> Response:
        """Send one request without a body and read the answer."""
        await self.send(head)
        return await self.response(to_head=to_head)


@contextlib.asynccontextmanager
async def a_client(plane: Plane) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port, limit=1 << 22)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def get(target: bytes, fields: bytes = b"", *, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\n%b%b\r\n" % (method, target, version, HOST, fields)


def wire(line: bytes, fields: bytes = b"", framing: bytes = b"", body: bytes = b"") -> bytes:
    """Return what the upstream must see, byte for byte."""
    return (
        b"%b HTTP/1.1\r\nHost: h.example\r\n%b"
        b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: h.example\r\nX-Forwarded-Port: 443\r\n%b\r\n%b"
    ) % (line, fields, framing, body)
