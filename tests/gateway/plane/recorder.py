"""An identity provider that records the exact bytes of every request, and answers as the path says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
OK = PLAIN + b"Content-Length: 3\r\n\r\nok\n"


@dataclass
class Recorded:
    """One request as it came over the wire."""

    head: bytes
    body: bytearray = field(default_factory=bytearray)
    pieces: int = 0
    """Chunks or reads."""
    ended: str = "reading"
    """`none` (no body), `length`, `chunked`, or `cut`."""


Answer = Callable[[Recorded, asyncio.StreamWriter], Awaitable[None]]


class Recorder:
    """Serves on a free port while `async with` lasts.

    Args:
        answers: What to do by path; any other path gets 200 and `ok`.
        slow_reader: Read no request body until told.
    """

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self.open_connections = 0
        self.changed = asyncio.Condition()
        self.may_read_bodies = asyncio.Event()
        self.may_read_bodies.set()
        self.port = 0
        self._answers = answers or {}
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=65536)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def wire(self) -> list[bytes]:
        """Head and body of each request, in order."""
        return [request.head + bytes(request.body) for request in self.requests]

    @property
    def endings(self) -> list[str]:
        return [request.ended for request in self.requests]

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until something is so; it is looked at after every change."""
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(fact), 10)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            async for request in self._requests(reader):
                await self._answer(request, writer)
                if writer.is_closing():
                    break
        self.open_connections -= 1
        self._writers.discard(writer)
        writer.close()
        await self._tell()

    async def _requests(self, reader: asyncio.StreamReader) -> AsyncIterator[Recorded]:
        while True:
            request = Recorded(await reader.readuntil(b"\r\n\r\n"))
            self.requests.append(request)
            await self._tell()
            try:
                await self._read_body(request, reader)
            except asyncio.IncompleteReadError as error:
                request.body += error.partial
                request.ended = "cut"
                return
            except ConnectionError:
                request.ended = "cut"
                return
            yield request

    async def _read_body(self, request: Recorded, reader: asyncio.StreamReader) -> None:
        fields = dict(
            line.split(b": ", 1) for line in request.head.lower().split(b"\r\n")[1:] if b": " in line
        )
        await self.may_read_bodies.wait()
        if b"transfer-encoding" in fields:
            assert fields[b"transfer-encoding"] == b"chunked"
            assert b"content-length" not in fields
            while True:
                size = await reader.readuntil(b"\r\n")
                piece = await reader.readexactly(int(size, 16) + 2)
                assert piece.endswith(b"\r\n")
                request.body += piece[:-2]
                request.pieces += 1
                if piece == b"\r\n":
                    break
            request.ended = "chunked"
        elif b"content-length" in fields:
            missing = int(fields[b"content-length"])
            while missing:
                piece = await reader.read(min(missing, 65536))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", missing)
                request.body += piece
                missing -= len(piece)
                await self._tell()
            request.ended = "length"
        else:
            request.ended = "none"
        await self._tell()

    async def _answer(self, request: Recorded, writer: asyncio.StreamWriter) -> None:
        method, target, _ = request.head.split(b" ", 2)
        answer = self._answers.get(target.partition(b"?")[0].decode())
        if answer is not None:
            await answer(request, writer)
        else:
            writer.write(OK[:-3] if method == b"HEAD" else OK)


def saying(raw: bytes, *, then_close: bool = False) -> Answer:
    """Answer with exact bytes."""

    async def answer(request: Recorded, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if then_close:
            await writer.drain()
            writer.close()

    return answer
