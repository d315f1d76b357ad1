"""One line and one count per request; nothing secret in either."""

import asyncio
import json
import os
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.plane.observe import Observer, new_reference
from tests.gateway.plane.recorder import PLAIN, Recorded, Recorder, saying
from tests.gateway.plane.stage import a_client, a_plane, get, on_a_loop, until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def watching(log: Path) -> Observer:
    return Observer(os.open(log, os.O_WRONLY | os.O_CREAT))


@dataclass
class Request:
    started: float
    path: bytes = b"/"
    side: str = "idp"
    status: int = 200
    method: bytes = b"GET"
    client: str = "127.0.0.1"
    sent: int = 1
    reference: str = ""
    why: str = ""


def ended(observer: Observer, started: float, path: bytes = b"/") -> None:
    observer.request(Request(started, path))


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def counted(observer: Observer) -> str:
    registry = CollectorRegistry()
    registry.register(observer)
    return generate_latest(registry).decode()


@on_a_loop
async def test_every_request_has_one_line_and_is_counted_once(log: Path) -> None:
    observer = watching(log)
    answers = {"/cut": saying(PLAIN + b"Content-Length: 9\r\n\r\nhalf", then_close=True)}
    async with Recorder(answers) as upstream, a_plane(upstream, observer=observer) as plane:
        async with a_client(plane) as client:
            await client.asks(get(b"/t?code=SECRET", b"Cookie: KC=SECRET\r\nAuthorization: SECRET\r\n"))
            await client.asks(get(b"/sparekey/reset?identifier=SECRET"))
            await client.asks(get(b"/t//x?code=SECRET"))
        async with a_client(plane) as client:
            await client.asks(get(b"/cut"))
        async with a_client(plane) as client:
            await client.send(b"nonsense\r\n\r\n")
            refusal = await client.response()
    written = lines(log)
    assert [(line["side"], line["path"], line["status"], line["bytes"]) for line in written] == [
        ("idp", "/t", 200, 3),
        ("own", "/sparekey/reset", 200, 21),
        ("refused", "/t//x", 400, written[2]["bytes"]),
        ("idp", "/cut", 200, 4),
        ("refused", "-", 400, len(refusal.body)),
    ]
    assert not any("SECRET" in str(line) for line in written)
    assert written[3]["why"] == "cut"
    assert written[4]["reference"] in refusal.body.decode()
    metrics = counted(observer)
    assert 'sparekey_requests_total{side="idp",status="200"} 2.0' in metrics
    assert 'sparekey_requests_total{side="own",status="200"} 1.0' in metrics
    assert 'sparekey_requests_total{side="refused",status="400"} 2.0' in metrics
    assert 'sparekey_request_seconds_count{side="idp"} 2.0' in metrics
    assert 'sparekey_request_seconds_bucket{le="+Inf",side="idp"} 2.0' in metrics


@on_a_loop
async def test_a_client_that_left_is_logged_once_as_499(log: Path) -> None:
    async def never(request: Recorded, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    observer = watching(log)
    async with Recorder({"/slow": never}) as upstream, a_plane(upstream, observer=observer) as plane:
        async with a_client(plane) as client:
            await client.send(get(b"/slow"))
            await upstream.until(lambda: bool(upstream.requests))
            leaving = client.writer.get_extra_info("socket")
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: not plane._listener._connections)
    assert [(line["status"], line["why"]) for line in lines(log)] == [(499, "client_gone")]


def test_any_path_is_one_line_of_json(log: Path) -> None:
    observer = watching(log)
    nasty = [b'/a"b', b"/a\\b", b"/\xff\xfe", b"/\n{}", b"/" + b"x" * 5000, "/\u2028".encode()]
    for path in nasty:
        ended(observer, time.monotonic(), path)
    observer.flush()
    assert [line["path"] for line in lines(log)] == [path[:256].decode("latin-1") for path in nasty]


@pytest.mark.parametrize("side", ["own", "refused"])
def test_references_in_our_own_addresses_are_not_told(log: Path, side: str) -> None:
    observer = watching(log)
    secret = secrets.token_urlsafe(24)
    observer.request(Request(time.monotonic(), f"/sparekey/not-me/{secret}/x".encode(), side=side))
    observer.flush()
    assert [line["path"] for line in lines(log)] == ["/sparekey/not-me/-/x"]


def test_lines_wait_half_a_second_at_most_and_never_pile_up(log: Path) -> None:
    observer = watching(log)
    now = time.monotonic()
    ended(observer, now)
    observer.flush_if_due(now)
    assert lines(log) == []
    observer.flush_if_due(now + 1)
    assert len(lines(log)) == 1
    for _ in range(500):
        ended(observer, now)
    assert len(lines(log)) >= 400


def test_a_long_request_falls_into_the_last_bucket() -> None:
    observer = Observer(None)
    ended(observer, time.monotonic() - 60)
    ended(observer, time.monotonic())
    metrics = counted(observer)
    assert 'sparekey_request_seconds_bucket{le="10",side="idp"} 1.0' in metrics
    assert 'sparekey_request_seconds_bucket{le="+Inf",side="idp"} 2.0' in metrics


def test_references_are_short_and_differ() -> None:
    references = {new_reference() for _ in range(1000)}
    assert len(references) == 1000
    assert {len(reference) for reference in references} == {8}
