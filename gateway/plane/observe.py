"""One access log line and one count per request, for a few microseconds.

Never logged: the query, cookies, any other header field, bodies. A path longer than 256 bytes is cut.
"""

import bisect
import datetime as dt
import json
import os
import secrets
import time
from collections.abc import Iterator

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
BUFFERED_LINES = 200
FLUSH_SECONDS = 0.5
LONGEST_PATH = 256
CLIENT_GONE = 499
"""Logged where the client left before the answer began; nginx uses the same number."""


def new_reference() -> str:
    """Return the number that a person reads to us and that finds the log line: 8 letters and digits."""
    return secrets.token_hex(4)


class Observer(Collector):
    """Writes the access log, and counts requests as a collector of prometheus_client.

    Register it: `REGISTRY.register(observer)`. Plain numbers instead of the library's counters, because
    only the event loop's thread writes them, and that costs a tenth.

    Args:
        log: File descriptor for the log lines; None writes none. Lines wait at most `FLUSH_SECONDS`, as
            long as somebody calls `flush_if_due`.
    """

    def __init__(self, log: int | None = 2) -> None:
        self._log = log
        self._lines: list[str] = []
        self._flushed = time.monotonic()
        self._stamped = 0.0
        self._stamp = ""
        self._counts: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}
        """By side: the requests of each bucket, then the sum."""

    def request(
        self,
        side: str,
        method: bytes,
        path: bytes,
        status: int,
        client: str,
        sent: int,
        started: float,
        reference: str,
        why: str,
    ) -> None:
        """Count one request and write its line.

        Args:
            side: `idp`, `own` or `refused`.
            path: Without the query.
            sent: Bytes of the answer's body.
            started: Monotonic time.
            reference: Empty, or what the person was shown.
            why: Empty, or a word.
        """
        now = time.monotonic()
        seconds = now - started
        key = (side, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._seconds.get(side)
        if buckets is None:
            buckets = self._seconds[side] = [0.0] * (len(BUCKETS) + 1)
        buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
        buckets[-1] += seconds
        if self._log is None:
            return
        if now - self._stamped > 0.1:
            self._stamp_again(now)
        extra = f',"reference":"{reference}","why":"{why}"' if reference or why else ""
        self._lines.append(
            f'{{"timestamp":"{self._stamp}","event":"request","side":"{side}",'
            f'"method":"{method.decode()}","path":"{_escaped(path)}","status":{status},'
            f'"ms":{seconds * 1000:.1f},"bytes":{sent},"client":"{client}"{extra}}}\n'
        )
        if len(self._lines) >= BUFFERED_LINES:
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
        if self._lines and now - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        text = "".join(self._lines).encode()
        self._lines.clear()
        self._flushed = time.monotonic()
        while text and self._log is not None:
            text = text[os.write(self._log, text) :]

    def _stamp_again(self, now: float) -> None:
        self._stamped = now
        self._stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(path: bytes) -> str:
    """Return a path for the inside of a JSON string."""
    text = path[:LONGEST_PATH].decode("latin-1")
    if '"' in text or "\\" in text or not (text.isascii() and text.isprintable()):
        return json.dumps(text)[1:-1]
    return text
