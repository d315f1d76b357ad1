"""One core for the system under test, the other for the load and what stands behind; CPU time as measure.

CPU time per request of a whole process tree hardly moves when the machine is noisy; requests per second do.
Every comparison is one interleaved run (A B C … C B A), medians over its rounds.
"""

import contextlib
import json
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.servers.processes import running

TESTED_CORE = 0
LOAD_CORE = 1
WRK_SCRIPT = Path(__file__).with_name("mix.lua")


class Unfit(Exception):
    """A measurement that must not be believed."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running program with its children."""

    name: str
    """As the tables say."""
    port: int
    """On 127.0.0.1."""
    pid: int
    """Of the outermost process."""

    def cpu_seconds(self) -> float:
        """Return user and system time of the whole tree so far."""
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory_mib(self) -> float:
        """Return the tree's memory, with shared pages divided among those who share them."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / (1 << 20)

    def _tree(self) -> list[psutil.Process]:
        outermost = psutil.Process(self.pid)
        return [outermost, *outermost.children(recursive=True)]


@contextlib.contextmanager
def service(
    name: str,
    command: Sequence[str | Path],
    *,
    port: int,
    core: int,
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run a program on one core for the length of the `with` block."""
    pinned = ["taskset", "-c", str(core), *command]
    with running(pinned, log=log, ready=ready, seconds=60, environment=environment) as process:
        yield Service(name, port, process.pid)


@dataclass(frozen=True, slots=True)
class Load:
    """What `wrk` saw."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    failed: int
    """Connections that broke, time-outs, and statuses above 399."""

    @property
    def per_second(self) -> float:
        """Completed requests."""
        return self.requests / self.seconds


def load(
    port: int,
    paths: Sequence[str],
    *,
    connections: int,
    seconds: int,
    core: int = LOAD_CORE,
    cookie: str = "",
) -> Load:
    """Ask for the paths in turn, from one thread on one core, with a `Cookie` field unless it is empty."""
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    # The paths come from a file, because one of them is long.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(paths))
        listed.flush()
        ran = subprocess.run(
            [*command, "-s", WRK_SCRIPT, f"http://127.0.0.1:{port}"],
            env={**os.environ, "BENCH_PATHS": listed.name, "BENCH_COOKIE": cookie},
            capture_output=True,
            text=True,
            check=True,
        )
    said = re.search(r"^RESULT (\{.*\})$", ran.stdout, re.MULTILINE)
    if said is None:
        raise Unfit(f"wrk said: {ran.stdout}")
    return Load(**json.loads(said[1]))


@dataclass(slots=True)
class Measured:
    """All rounds of one variant."""

    name: str
    cpu_us: list[float] = field(default_factory=list)
    """CPU time per request."""
    per_second: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(getattr(self, what))


@dataclass(frozen=True, slots=True)
class Variant:
    """One system under test."""

    service: Service
    also_counted: Sequence[Service] = ()
    """Whose CPU time is added."""
    cookie: str = field(default="", repr=False)
    """Sent with every request."""
    paths: Sequence[str] = ()
    """What it is asked for, where that is not what all are asked for."""
    before: Callable[[], object] = lambda: None
    """Called before each load; what it returns goes to `after`."""
    after: Callable[[object, Load, int], None] = lambda *_: None
    """Called after each load with what `before` returned, the load and the number of connections; raises
    `Unfit` where the figures cannot be right."""

    def cpu_seconds(self) -> float:
        """Return the CPU time of everything that belongs to it."""
        return sum(part.cpu_seconds() for part in (self.service, *self.also_counted))


def compare(
    variants: Sequence[Variant], paths: Sequence[str], *, connections: int, seconds: int, rounds: int
) -> list[Measured]:
    """Load every variant in every round, back and forth, and return their figures in the given order.

    Raises:
        Unfit: A request failed, or a variant's own books do not agree with the load.
    """
    results = {variant.service.name: Measured(variant.service.name) for variant in variants}
    for variant in variants:
        asked = variant.paths or paths
        load(variant.service.port, asked, connections=connections, seconds=1, cookie=variant.cookie)
    for turn in range(rounds):
        for variant in variants if turn % 2 == 0 else reversed(variants):
            asked = variant.paths or paths
            _measure(variant, results[variant.service.name], asked, connections, seconds)
    return list(results.values())


def _measure(variant: Variant, into: Measured, paths: Sequence[str], connections: int, seconds: int) -> None:
    seen, began = variant.before(), variant.cpu_seconds()
    port, cookie = variant.service.port, variant.cookie
    loaded = load(port, paths, connections=connections, seconds=seconds, cookie=cookie)
    spent = variant.cpu_seconds() - began
    if loaded.failed:
        raise Unfit(f"{variant.service.name}: {loaded.failed} requests failed")
    variant.after(seen, loaded, connections)
    into.cpu_us.append(spent / loaded.requests * 1e6)
    into.per_second.append(loaded.per_second)
    into.p50_us.append(loaded.p50_us)
    into.p99_us.append(loaded.p99_us)
    into.memory_mib.append(variant.service.memory_mib())
