"""200 people at once, in front of a provider that needs 100 ms for a page."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import uvloop

from benchmarks import sign_in_pages
from benchmarks.gateway import Address, gateway
from benchmarks.harness import LOAD_CORE, Service, Variant, compare, service
from benchmarks.table import Result, Target
from tests.servers.processes import answers, free_port

PEOPLE = 200
DELAY = 0.1
SECONDS = 5
ROUNDS = 4


def run(folder: Path) -> Result:
    """Compare the throughput through the gateway with the throughput without."""
    at = Address.free()
    with contextlib.ExitStack() as stack:
        folder.mkdir(parents=True)
        slow = stack.enter_context(_slow_pages(folder, at.public))
        ours = stack.enter_context(
            gateway(
                folder / "gateway",
                at,
                idp_address=f"http://127.0.0.1:{slow.port}",
                issuer=f"{at.public}{sign_in_pages.REALM}",
            )
        )
        direct, through = compare(
            [Variant(slow), ours.variant()],
            [sign_in_pages.authorization_path()],
            connections=PEOPLE,
            seconds=SECONDS,
            rounds=ROUNDS,
        )
    ratio = through.median("per_second") / direct.median("per_second")
    return Result(
        title=f"{PEOPLE} people at once, a provider that needs {DELAY * 1000:.0f} ms",
        method=f"{PEOPLE} connections ask for the sign-in page; {ROUNDS} interleaved rounds of {SECONDS} s.",
        columns=("", "requests/s", "p50 ms", "p99 ms", "CPU µs/request"),
        rows=[
            (
                each.name,
                f"{each.median('per_second'):.0f}",
                f"{each.median('p50_us') / 1000:.1f}",
                f"{each.median('p99_us') / 1000:.1f}",
                f"{each.median('cpu_us'):.0f}",
            )
            for each in (direct, through)
        ],
        targets=[Target("at least 0.95 of direct throughput", f"{ratio:.3f}", ratio >= 0.95)],
    )


@contextlib.contextmanager
def _slow_pages(folder: Path, public: str) -> Iterator[Service]:
    port = free_port()
    command = [sys.executable, "-m", __name__, str(port), public]
    with service(
        "direct", command, port=port, core=LOAD_CORE, log=folder / "slow.log", ready=lambda: answers(port)
    ) as running:
        yield running


class _SlowPage(asyncio.Protocol):
    """Answers requests without a body, in order, each after the delay."""

    def __init__(self, public: str) -> None:
        self._public = public
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            method, target, _ = head.split(b" ", 2)
            self._answer(method.decode(), target.decode())

    def _answer(self, method: str, target: str) -> None:
        query = parse_qs(urlsplit(target).query)
        if target.endswith("/openid-configuration"):
            self._send("200 OK", "application/json", sign_in_pages.discovery(self._public).encode())
        elif query.get("prompt") == ["none"]:
            answer = f"{query['redirect_uri'][0]}?error=login_required&state={query['state'][0]}"
            self._send("302 Found", "text/plain", b"", f"Location: {answer}\r\n")
        elif method == "POST":
            self._send("400 Bad Request", "application/json", b'{"error":"invalid_grant"}')
        else:
            later = asyncio.get_running_loop().call_later
            later(DELAY, self._send, "200 OK", "text/html;charset=utf-8", PAGE)

    def _send(self, status: str, kind: str, body: bytes, more: str = "") -> None:
        if self._transport.is_closing():
            return
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


PAGE = sign_in_pages.page()


async def _serve(port: int, public: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _SlowPage(public), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
