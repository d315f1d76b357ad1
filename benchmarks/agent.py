"""Resets through an agent against direct writes on the same slapd; heartbeats of 1,000 agents."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import redis

from benchmarks.harness import Unfit
from benchmarks.table import Result, Target
from idp_plugin.base import Subject
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.writeback import beat
from idp_plugin.writeback.beat import Health
from idp_plugin.writeback.identity import new_identity
from idp_plugin.writeback.keys import public_text
from idp_plugin.writeback.roster import PinnedAgent, Roster
from idp_plugin.writeback.streams import StreamGatewayEnd, key_prefix
from tests.idp_plugin.writeback.arranged import DIRECTORY, ISSUER, MemoryRegistry, adapter, utc_now
from tests.idp_plugin.writeback.chaos import Chaos, chaos
from tests.servers.slapd import Slapd, SlapdPerson

PEOPLE = 20
ROUNDS = 5
AT_ONCE = 8
AGENTS = 1000
MOST_MEDIAN_MS = 50.0
LEAST_SHARE = 0.5

Write = Callable[[Subject, str], object]


def run(folder: Path) -> Result:
    """Measure both ways in turns, then the heartbeats."""
    folder.mkdir(parents=True)
    administrator = SlapdPerson("erin", "Erin-Passw0rd", groups=("administrators",))
    staff = [SlapdPerson(f"person{number}", f"Old-Passw0rd-{number}") for number in range(PEOPLE)]
    with (
        Slapd(folder / "slapd", [administrator, *staff]) as slapd,
        # A socket's path may have 107 bytes.
        tempfile.TemporaryDirectory(prefix="sparekey-agent-") as short,
        chaos(Path(short), slapd, 0, agents=1, seconds=15) as world,
    ):
        _await(world)
        accounts = [each.account for each in adapter(slapd).everyone() if each.username != "erin"]
        direct = OpenLdap(slapd.settings(), ISSUER)
        ways: dict[str, Write] = {
            "direct": direct.set_password,
            "through an agent": world.remote.set_password,
        }
        measured = _measure(ways, accounts, _processes(world))
        beats = _beats(world.url)
    return _result(measured, beats)


def _processes(world: Chaos) -> list[psutil.Process]:
    """Return what Sparekey is made of here: the gateway's end, which is this process, and the agent."""
    started = [each.process for each in world.agents if each.process is not None]
    return [psutil.Process(), *(psutil.Process(each.pid) for each in started)]


def _spent(processes: Sequence[psutil.Process]) -> float:
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system for each in times))


def _await(world: Chaos) -> None:
    end = time.monotonic() + 30
    while not world.roster.working():
        if time.monotonic() > end:
            raise Unfit("the agent did not start")
        time.sleep(0.05)


@dataclass(slots=True)
class _Way:
    """What was seen of one way to write."""

    alone_ms: list[float] = field(default_factory=list)
    """One reset after the other."""
    cpu_ms: list[float] = field(default_factory=list)
    """Of one reset, by round: our own processes, without the directory."""
    rates: list[float] = field(default_factory=list)
    """Resets per second, several at once."""


def _measure(
    ways: dict[str, Write], accounts: list[Subject], processes: Sequence[psutil.Process]
) -> dict[str, _Way]:
    measured = {name: _Way() for name in ways}
    for number in range(ROUNDS):
        for name, write in ways.items():
            found, before = measured[name], _spent(processes)
            for account in accounts:
                begun = time.perf_counter()
                write(account, _password(number, name))
                found.alone_ms.append((time.perf_counter() - begun) * 1000)
            found.cpu_ms.append((_spent(processes) - before) * 1000 / len(accounts))
            begun = time.perf_counter()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(write, accounts, [_password(number, f"{name}!")] * len(accounts)))
            found.rates.append(len(accounts) / (time.perf_counter() - begun))
    return measured


def _password(number: int, way: str) -> str:
    return f"Passw0rd-{number}-{way}"


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


def _result(measured: dict[str, _Way], beats: float) -> Result:
    through, direct = "through an agent", "direct"
    alone = {name: statistics.median(way.alone_ms) for name, way in measured.items()}
    cpu = {name: statistics.median(way.cpu_ms) for name, way in measured.items()}
    many = {name: statistics.median(way.rates) for name, way in measured.items()}
    share = many[through] / many[direct]
    core = AGENTS / beat.EVERY.total_seconds() / beats
    return Result(
        title="Writeback: through an agent and directly",
        method=(
            f"Resets of {PEOPLE} people on one slapd over LDAPS, {ROUNDS} rounds, both ways in turns: one "
            f"after the other (median), then {AT_ONCE} at once. The agent is `sparekey agent` in a process "
            f"of its own, its channel a Valkey on the same machine. Last, heartbeats of {AGENTS:,} agents as "
            "the gateway reads and verifies them: CPU time. The directory hashes every password with argon2 "
            "and compares it with three older ones; its CPU time is not counted, its time is."
        ),
        columns=("", "one reset, ms", "fastest, ms", "CPU, ms", f"resets/s, {AT_ONCE} at once"),
        rows=[
            *(
                (
                    name,
                    f"{alone[name]:.1f}",
                    f"{min(measured[name].alone_ms):.1f}",
                    f"{cpu[name]:.1f}",
                    f"{many[name]:.1f}",
                )
                for name in (direct, through)
            ),
            ("ratio", f"{alone[through] / alone[direct]:.2f}", "", f"{cpu[through] / cpu[direct]:.2f}", ""),
        ],
        targets=[
            Target(
                f"median through an agent under {MOST_MEDIAN_MS:.0f} ms",
                f"{alone[through]:.1f} ms",
                alone[through] < MOST_MEDIAN_MS,
            ),
            Target(f"at least {LEAST_SHARE:.0%} of the direct rate", f"{share:.0%}", share >= LEAST_SHARE),
            Target(
                f"heartbeats of {AGENTS:,} agents, one each 30 s, on one core",
                f"{core:.1%} of a core",
                core < 1,
            ),
        ],
    )
