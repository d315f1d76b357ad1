"""Resets through an agent against direct writes on the same slapd and Samba; heartbeats of 1,000 agents."""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import redis

from benchmarks.agent_world import CHANNELS, PEOPLE, Place, World, places, world
from benchmarks.harness import Service, Unfit
from benchmarks.table import Result, Target
from idp_plugin.base import PasswordWriter, Subject
from idp_plugin.ldap.adapters import open_adapter
from idp_plugin.writeback import beat
from idp_plugin.writeback.beat import Health
from idp_plugin.writeback.identity import new_identity
from idp_plugin.writeback.keys import public_text
from idp_plugin.writeback.roster import PinnedAgent, Roster
from idp_plugin.writeback.streams import StreamGatewayEnd, key_prefix
from tests.idp_plugin.writeback.arranged import DIRECTORY, MemoryRegistry, utc_now

ROUNDS = 4
AT_ONCE = 8
AGENTS = 1000
MOST_MEDIAN_MS = 50.0
LEAST_SHARE = 0.5
_DIRECT, _CONNECTING = "direct", "direct, connecting for each"
_SAID = {"redis": "through an agent, Redis", "https": "through an agent, HTTPS"}


@dataclass(slots=True)
class _Way:
    """One way to write to one place, and what was seen of it."""

    name: str
    writer: PasswordWriter
    source: str
    """Of its accounts."""
    services: Sequence[Service] = ()
    """Whose CPU time is counted beside this process's: the gateway's and the agent's."""
    alone_ms: list[float] = field(default_factory=list)
    """One reset after the other."""
    cpu_ms: list[float] = field(default_factory=list)
    """Of each of them: our own processes, without the directory."""
    rates: list[float] = field(default_factory=list)
    """Resets per second, several at once, by round."""

    def write(self, id_: str, new: str) -> None:
        self.writer.set_password(Subject(self.source, id_), new)

    def spent(self) -> float:
        own = psutil.Process().cpu_times()
        return float(own.user + own.system) + sum(each.cpu_seconds() for each in self.services)


def run(folder: Path) -> Result:
    """Measure every way in turns at each place, then the heartbeats."""
    folder.mkdir(parents=True)
    with places(folder) as around, world(folder / "gateway", around) as asked:
        measured = {place.name: _measured(place, asked) for place in around}
        beats = _beats(asked.redis)
    return _result(measured, beats)


def _ways(place: Place, asked: World) -> Iterator[_Way]:
    connecting = place.settings.model_copy(update={"keep_seconds": 0.0})
    yield _Way(_DIRECT, open_adapter(place.settings, ""), place.settings.name)
    yield _Way(_CONNECTING, open_adapter(connecting, ""), place.settings.name)
    for channel in CHANNELS:
        name = place.behind(channel)
        # Over Redis the gateway's own process has no part in it.
        services = [asked.agents[name], *([asked.gateway] if channel == "https" else [])]
        yield _Way(_SAID[channel], asked.writeback.remote(name, ""), name, services)


def _measured(place: Place, asked: World) -> Sequence[_Way]:
    place.arrange()
    ways, ids = tuple(_ways(place, asked)), place.accounts()
    if len(ids) != PEOPLE:
        raise Unfit(f"{len(ids)} people at {place.name}")
    for way in ways:
        # Connections and policies are there from now on, and every history is full.
        _each(way, ids[:3], f"warm {way.name}")
    for number in range(ROUNDS):
        # Each person by every way before the next one, so that a busy moment is everybody's.
        for id_ in ids:
            for way in ways:
                _timed(way, id_, f"{number} {way.name}")
        for way in ways:
            begun = time.perf_counter()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(way.write, ids, [_password(f"{number} at once {way.name}")] * len(ids)))
            way.rates.append(len(ids) / (time.perf_counter() - begun))
    return ways


def _each(way: _Way, ids: Sequence[str], words: str) -> None:
    for id_ in ids:
        way.write(id_, _password(words))


def _timed(way: _Way, id_: str, words: str) -> None:
    before, begun = way.spent(), time.perf_counter()
    way.write(id_, _password(words))
    way.alone_ms.append((time.perf_counter() - begun) * 1000)
    way.cpu_ms.append((way.spent() - before) * 1000)


def _password(words: str) -> str:
    return f"Passw0rd {words}"


def _beats(url: str) -> float:
    """Return how many heartbeats of different agents the gateway's side reads and verifies per CPU second."""
    registry, now = MemoryRegistry(), utc_now()
    directory = f"{DIRECTORY}-many"
    with redis.Redis.from_url(url) as client:
        for number in range(AGENTS):
            identity = replace(new_identity(directory, now), id=f"a{number}")
            registry.agents[identity.id] = PinnedAgent(
                identity.id, identity.id, directory, public_text(identity.signing), 1
            )
            client.set(
                f"{key_prefix(directory)}beat:a{number}", beat.make(identity, Health(), now), px=90_000
            )
    end = StreamGatewayEnd(url, directory)
    begun = time.process_time()
    working = Roster(directory, registry, end, utc_now).working()
    spent = time.process_time() - begun
    end.close()
    if len(working) != AGENTS:
        raise Unfit(f"{len(working)} of {AGENTS} agents were believed")
    return AGENTS / spent


def _result(measured: Mapping[str, Sequence[_Way]], beats: float) -> Result:
    core = AGENTS / beat.EVERY.total_seconds() / beats
    targets = [target for name, ways in measured.items() for target in _promised(name, ways)]
    return Result(
        title="Writeback: through an agent and directly",
        method=(
            f"Resets of {PEOPLE} people over LDAPS, {ROUNDS} rounds, each person by every way in turn, one "
            f"after the other (medians; CPU time is the mean), then {AT_ONCE} at once. The agent is "
            "`sparekey agent` in a process of its own; its channel is the Valkey of a `sparekey serve` on "
            "the same machine, or that gateway's HTTPS endpoint over TLS. *Added* is the median of the "
            "differences to the direct write just before, for the same person. The directory's own CPU time "
            "is not counted, its time is: slapd hashes with argon2, once for the new password and once more "
            "for each that it remembers. *Connecting for each* keeps no connection: TCP, TLS, its "
            f"verification and the bind of the service account. Last, heartbeats of {AGENTS:,} agents as the "
            "gateway reads and verifies them: CPU time."
        ),
        columns=("", "one reset, ms", "fastest, ms", "added, ms", "CPU, ms", f"resets/s, {AT_ONCE} at once"),
        rows=[_row(name, way, ways[0]) for name, ways in measured.items() for way in ways],
        targets=[
            *targets,
            Target(
                f"heartbeats of {AGENTS:,} agents, one each 30 s, on one core",
                f"{core:.1%} of a core",
                core < 1,
            ),
        ],
    )


def _row(place: str, way: _Way, direct: _Way) -> Sequence[str]:
    return (
        f"{place}: {way.name}",
        f"{statistics.median(way.alone_ms):.1f}",
        f"{min(way.alone_ms):.1f}",
        f"{_added(way, direct):+.1f}" if way is not direct else "",
        f"{statistics.fmean(way.cpu_ms):.1f}",
        f"{statistics.median(way.rates):.1f}",
    )


def _added(way: _Way, direct: _Way) -> float:
    return statistics.median(mine - its for mine, its in zip(way.alone_ms, direct.alone_ms, strict=True))


def _promised(place: str, ways: Sequence[_Way]) -> Iterator[Target]:
    direct = ways[0]
    for way in ways:
        if way.name not in _SAID.values():
            continue
        median = statistics.median(way.alone_ms)
        share = statistics.median(way.rates) / statistics.median(direct.rates)
        yield Target(
            f"{place}, {way.name}: median under {MOST_MEDIAN_MS:.0f} ms",
            f"{median:.1f} ms",
            median < MOST_MEDIAN_MS,
        )
        yield Target(
            f"{place}, {way.name}: at least {LEAST_SHARE:.0%} of the direct rate",
            f"{share:.0%}",
            share >= LEAST_SHARE,
        )
