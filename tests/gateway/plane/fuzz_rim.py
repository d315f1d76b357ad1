"""Random bytes against one connection; run by `test_fuzz.py`, or for longer by hand.

    python -m tests.gateway.plane.fuzz_rim CORPUS -max_total_time=600

What must hold, whatever comes: no exception, no fault logged, nothing upstream after a refusal, and every
request upstream can be read in exactly one way.
"""

import re
import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["gateway.plane"]):
    from gateway.plane import connection as connection_module
    from gateway.plane.client_address import TrustedProxies
    from gateway.plane.connection import Connection
    from gateway.plane.listener import Listener
    from gateway.plane.observe import Observer
    from gateway.plane.origin import Origin
    from gateway.plane.proxy import Proxy, ProxyTurn
    from gateway.plane.request_head import Rules
    from gateway.plane.response_head import read_response_head
    from gateway.plane.verdict import PassAll
    from gateway.settings import LimitsSettings, TimeoutSettings

LIMITS = LimitsSettings(head_bytes=2048, proxied_body_bytes=4096)
ONE_HEAD = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) (/[!-~]*) HTTP/1\.1\r\n"
    rb"Host: h\.example\r\n"
    rb"(?:[!#$%&'*+.^`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*\r\n)+\r\n"
)
PATH_NEVER_HOLDS = re.compile(rb"//|[;\\#]|/\.\.?(/|$)|%(2[eEfF]|5[cC]|0|1|7[fF])")


class Transport:
    """Keeps what was written, and obeys."""

    def __init__(self) -> None:
        self.written = b""
        self.reads = True
        self.is_closed = False

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        self.is_closed = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


class Upstream:
    """Answers each request once it is complete, and notes what came."""

    def __init__(self, client: Transport) -> None:
        self.client = client
        self.carried: ProxyTurn | None = None
        self.heads: list[bytes] = []
        self.body = b""

    def send(self, turn: ProxyTurn) -> None:
        assert not re.search(rb"HTTP/1.1 [45]", self.client.written), "upstream after a refusal"
        assert self.carried is None, "two requests at once"
        self.heads.append(turn.wire_head)
        self.body = b""
        self.carried = turn
        turn.connected(self)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        self.body += data

    def abandon(self) -> None:
        self.carried = None

    def pause(self) -> None:
        """Nothing to pause."""

    resume = pause

    def answer(self) -> None:
        turn = self.carried
        if turn is None or not turn.received:
            return
        self.check_body(turn.wire_head)
        self.carried = None
        turn.response_head(read_response_head(200, b"OK", [(b"Content-Length", b"2")], to_head=turn.is_head))
        if not turn.is_head:
            turn.response_body(b"ok")
        turn.response_end()

    def check_body(self, head: bytes) -> None:
        lengths = re.findall(rb"\r\ncontent-length: (\d+)\r\n", head.lower())
        codings = re.findall(rb"\r\ntransfer-encoding: (.*)\r\n", head.lower())
        assert len(lengths) + len(codings) <= 1
        if codings:
            assert codings == [b"chunked"]
            assert re.fullmatch(rb"(?:[0-9a-f]+\r\n(?s:.*)\r\n)?0\r\n\r\n", self.body)
        else:
            assert len(self.body) == int(lengths[0] if lengths else 0)


class FaultLogged(Exception):
    """The plane caught an exception of its own: a defect, however politely answered."""


class Log:
    def error(self, event: str, **facts: Any) -> None:
        raise FaultLogged(event) from facts.get("exc_info")


connection_module.log = Log()  # type: ignore[assignment]


def one_connection(data: bytes) -> None:
    client = Transport()
    upstream = Upstream(client)
    origin = Origin("https://h.example")
    timeouts = TimeoutSettings()
    proxy = Proxy(upstream, PassAll(), origin=origin, limits=LIMITS, timeouts=timeouts)  # type: ignore[arg-type]
    listener = Listener(
        "127.0.0.1:0",
        rules=Rules(origin, TrustedProxies(())),
        limits=LIMITS,
        timeouts=timeouts,
        observer=Observer(None),
        turn_for=proxy.turn,
    )
    connection = Connection(listener)
    connection.connection_made(client)  # type: ignore[arg-type]
    provider = atheris.FuzzedDataProvider(data)
    size = provider.ConsumeIntInRange(1, 200)
    answers_late = provider.ConsumeBool()
    sent = provider.ConsumeBytes(len(data))
    for at in range(0, len(sent), size):
        if client.is_closed:
            break
        connection.data_received(sent[at : at + size])
        while not answers_late and upstream.carried is not None and upstream.carried.received:
            upstream.answer()
    while upstream.carried is not None and upstream.carried.received:
        upstream.answer()
    if not client.is_closed:
        connection.eof_received()
    connection.connection_lost(None)
    for head in upstream.heads:
        found = ONE_HEAD.fullmatch(head)
        assert found, head
        assert not PATH_NEVER_HOLDS.search(found[2].partition(b"?")[0]), head
        assert head.lower().count(b"\r\nhost:") == 1


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_connection)
    atheris.Fuzz()
