"""One access log line and one count per request, for a few microseconds.

Never logged: the query, cookies, any other header field, bodies, references in our own paths. A path longer
than 256 bytes is cut.
"""

import bisect
import datetime as dt
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from typing import Protocol

from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

REFUSALS = Counter("sparekey_refusals", "Requests refused by the rim", ["why"])
UPSTREAM_FAILURES = Counter(
    "sparekey_upstream_failures", "Answers the identity provider did not give", ["why"]
)
UPSTREAM_RETRIES = Counter("sparekey_upstream_retries", "Requests sent again on a fresh connection")
LINK_PAGES = Counter("sparekey_link_pages", "Pages that were to get the link", ["result"])
CONNECTIONS = Gauge("sparekey_connections", "Open connections from clients")

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, float("inf"))
Facts = tuple[float, float, str, int, bytes, bytes, str, int, str, str]
"""When, seconds, and `Ended` in order."""
BUFFERED_LINES = 200
FLUSH_SECONDS = 0.5
LONGEST_PATH = 256
REFERENCE = re.compile(rb"/[A-Za-z0-9_-]{20,}")
CLIENT_GONE = 499
"""Logged where the client left before the answer began; nginx uses the same number."""


class Ended(Protocol):
    """A request that is over."""

    started: float
    """Monotonic time."""
    side: str
    """`idp`, `own`, `auth` or `refused`."""
    status: int
    """HTTP status, or `CLIENT_GONE`."""
    method: bytes
    path: bytes
    """Without the query."""
    client: str
    """The person's address."""
    sent: int
    """Bytes of the answer's body."""
    reference: str
    """Empty, or what the person was shown."""
    why: str
    """Empty, or a word."""


def new_reference() -> str:
    """Return the number that a person reads to us and that finds the log line: 8 letters and digits."""
    return secrets.token_hex(4)


class Observer(Collector):
    """Writes the access log, and counts requests as a collector of prometheus_client.

    Register it with a registry of the gateway's own. Plain numbers instead of the library's counters, because
    only the event loop's thread writes them, and that costs a tenth.

    Args:
        log: File descriptor for the log lines; None writes none. Lines wait at most `FLUSH_SECONDS`, as
            long as somebody calls `flush_if_due`.
    """

    def __init__(self, log: int | None = 2) -> None:
        self._log = log
        self._waiting: list[Facts] = []
        self._flushed = time.monotonic()
        self._counts: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}
        """By side: the requests of each bucket, then the sum."""

    def request(self, ended: Ended) -> None:
        """Count one request and write its line."""
        now = time.monotonic()
        seconds = now - ended.started
        key = (ended.side, ended.status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._seconds.get(ended.side)
        if buckets is None:
            buckets = self._seconds[ended.side] = [0.0] * (len(BUCKETS) + 1)
        buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
        buckets[-1] += seconds
        if self._log is not None:
            # Lines are made many at once: one at a time costs three times as much.
            self._waiting.append(
                (
                    now,
                    seconds,
                    ended.side,
                    ended.status,
                    ended.method,
                    ended.path,
                    ended.client,
                    ended.sent,
                    ended.reference,
                    ended.why,
                )
            )
            if len(self._waiting) >= BUFFERED_LINES:
                self.flush()

    def collect(self) -> Iterator[Metric]:
        """Yield the request counts; called by prometheus_client, in any thread."""
        counts = CounterMetricFamily(
            "sparekey_requests", "Requests answered or refused", labels=["side", "status"]
        )
        for (side, status), count in tuple(self._counts.items()):
            counts.add_metric([side, str(status)], count)
        yield counts
        times = HistogramMetricFamily(
            "sparekey_request_seconds", "From the request head to the answer's last byte", labels=["side"]
        )
        for side, numbers in tuple(self._seconds.items()):
            *buckets, total = numbers
            sums = [sum(buckets[: index + 1]) for index in range(len(buckets))]
            bounds = [*(str(bound) for bound in BUCKETS[:-1]), "+Inf"]
            times.add_metric([side], list(zip(bounds, sums, strict=True)), total)
        yield times

    def flush_if_due(self, now: float) -> None:
        """Write what waits since more than half a second; called by the plane's clock."""
        if self._waiting and now - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        offset = time.time() - time.monotonic()
        text = "".join([_line(facts, offset) for facts in self._waiting]).encode()
        self._waiting.clear()
        self._flushed = time.monotonic()
        while text and self._log is not None:
            text = text[os.write(self._log, text) :]


def _line(facts: Facts, offset: float) -> str:
    now, seconds, side, status, method, path, client, sent, reference, why = facts
    stamp = dt.datetime.fromtimestamp(now + offset, dt.UTC).isoformat(timespec="milliseconds")
    extra = f',"reference":"{reference}","why":"{why}"' if reference or why else ""
    return (
        f'{{"timestamp":"{stamp}","event":"request","side":"{side}",'
        f'"method":"{method.decode()}","path":"{_told(side, path)}","status":{status},'
        f'"ms":{seconds * 1000:.1f},"bytes":{sent},"client":"{client}"{extra}}}\n'
    )


def _told(side: str, path: bytes) -> str:
    # Security: ids of holds and references from notices stand in our own addresses and open something.
    # They may have been refused before anybody was to answer them.
    return _escaped(path if side == "idp" else REFERENCE.sub(b"/-", path))


def _escaped(path: bytes) -> str:
    """Return a path for the inside of a JSON string."""
    text = path[:LONGEST_PATH].decode("latin-1")
    if '"' in text or "\\" in text or not (text.isascii() and text.isprintable()):
        return json.dumps(text)[1:-1]
    return text
