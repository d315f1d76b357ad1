"""A complete sign-in at a real Keycloak: directly, through nginx, and through each of Sparekey's planes.

Keycloak's own CPU time moves with whatever runs beside it on the machine, and with how the requests come to
it; so what is added inside it is counted: its own log says which requests it answered.
"""

import contextlib
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import others
from benchmarks.data_plane import printed
from benchmarks.gateway import Address, Gateway, gateway
from benchmarks.harness import LOAD_CORE, Service
from benchmarks.keycloak_visits import COVERED, UNREGISTERED, Register, register, sign_in, sign_in_held
from benchmarks.table import Result, Target
from tests.servers import keycloak as kc

WARM_UP = 25
"""Sign-ins by each way."""
SIGN_INS = 20
ROUNDS = 6
IDLE_SECONDS = 2


@dataclass
class Way:
    """One way to Keycloak, and what sign-ins by it cost."""

    name: str
    sign_in: Callable[[kc.LocalPerson], None]
    people: Iterator[kc.LocalPerson]
    proxies: Sequence[Service] = ()
    """What stands in front."""
    idle: float = 0.0
    """CPU seconds that the proxies need in a second in which nobody comes."""
    keycloak_ms: list[float] = field(default_factory=list)
    """CPU time of Keycloak per sign-in, of each round."""
    proxy_ms: list[float] = field(default_factory=list)
    """As `keycloak_ms`, of the proxies, without what they need when idle."""
    wall_ms: list[float] = field(default_factory=list)
    """How long each sign-in took."""
    requests: int = 0
    """That Keycloak answered."""

    @property
    def keycloak(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.keycloak_ms)

    @property
    def proxy(self) -> float:
        """As `keycloak`, of the proxies."""
        return statistics.median(self.proxy_ms)

    @property
    def wall(self) -> float:
        """Median of all sign-ins."""
        return statistics.median(self.wall_ms)

    @property
    def per_sign_in(self) -> float:
        """Requests that Keycloak answered."""
        return self.requests / len(self.wall_ms)

    def cpu_seconds(self) -> float:
        """Return what the proxies have used so far."""
        return sum(proxy.cpu_seconds() for proxy in self.proxies)


def run(folder: Path) -> Result:
    """Compare the CPU time of Keycloak and of what stands in front of it, per sign-in."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_keycloak())
        ways = [*_plain(stack, server, folder), *_embedded(stack, server, folder)]
        ways.append(_native(stack, server, folder))
        with _on_the_load_core():
            _measure(server, ways)
        return _result(*ways)


@contextlib.contextmanager
def _keycloak() -> Iterator[kc.Keycloak]:
    """Start Keycloak as it ships, with both compilers and its own collector, on the load's core."""
    log = {"http-access-log-enabled": "true"}
    with contextlib.ExitStack() as stack:
        with _on_the_load_core():
            server = stack.enter_context(kc.serving(log, java="-Dsparekey.bench=yes"))
        yield server


@contextlib.contextmanager
def _on_the_load_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _plain(stack: contextlib.ExitStack, server: kc.Keycloak, folder: Path) -> list[Way]:
    nginx = stack.enter_context(others.nginx(folder / "nginx", urlsplit(server.address).port or 80))
    behind = f"http://127.0.0.1:{nginx.port}"
    realm = _realm(server, "plain", server.address)
    return [
        _way("direct", server.address, realm),
        _way("through nginx", behind, _realm(server, "nginx", behind), nginx),
    ]


def _embedded(stack: contextlib.ExitStack, server: kc.Keycloak, folder: Path) -> list[Way]:
    at = Address.free()
    realm = _realm(server, "embedded", at.public)
    ours = _gateway(stack, folder / "embedded", at, realm)
    people = stack.enter_context(register(ours, realm))
    return [
        _way("through Sparekey", at.public, realm, ours.service),
        _held("through Sparekey, held and released", at.public, realm, people, ours.service),
    ]


def _native(stack: contextlib.ExitStack, server: kc.Keycloak, folder: Path) -> Way:
    edge, at = Address.free(), Address.free()
    realm = _realm(server, "native", edge.public)
    environment = {
        "SPAREKEY_GATEWAY__PUBLIC": edge.public,
        "SPAREKEY_GATEWAY__DATA_PLANE_SOCKET": str(folder / "edge.sock"),
        "SPAREKEY_GATEWAY__TRUSTED_PROXIES": '["127.0.0.1"]',
    }
    ours = _gateway(stack, folder / "native", at, realm, environment)
    stack.enter_context(register(ours, realm))
    nginx = stack.enter_context(printed(folder / "printed", ours, edge.port, environment))
    return _way("through Sparekey's nginx", edge.public, realm, nginx, ours.service)


def _realm(server: kc.Keycloak, name: str, public: str) -> kc.Realm:
    return kc.make_realm(server, name, public=public, people=[*COVERED, *UNREGISTERED])


def _gateway(
    stack: contextlib.ExitStack,
    folder: Path,
    at: Address,
    realm: kc.Realm,
    environment: dict[str, str] | None = None,
) -> Gateway:
    return stack.enter_context(
        gateway(
            folder,
            at,
            idp_address=realm.keycloak.address,
            issuer=realm.issuer,
            client=(kc.GATEWAY_CLIENT, kc.GATEWAY_SECRET),
            environment=environment,
        )
    )


def _way(name: str, origin: str, realm: kc.Realm, *proxies: Service) -> Way:
    return Way(name, lambda person: sign_in(origin, realm, person), itertools.cycle(COVERED), proxies)


def _held(name: str, origin: str, realm: kc.Realm, people: Register, ours: Service) -> Way:
    def held(person: kc.LocalPerson) -> None:
        sign_in_held(origin, realm, person, people)

    return Way(name, held, itertools.cycle(UNREGISTERED), [ours])


def _measure(server: kc.Keycloak, ways: list[Way]) -> None:
    for _, way in itertools.product(range(WARM_UP), ways):
        way.sign_in(next(way.people))
    for way in ways:
        way.idle = _idle(way) if way.proxies else 0.0
    for turn in range(ROUNDS):
        for way in ways if turn % 2 == 0 else reversed(ways):
            _round(server, way)


def _idle(way: Way) -> float:
    before = way.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (way.cpu_seconds() - before) / IDLE_SECONDS


def _round(server: kc.Keycloak, way: Way) -> None:
    keycloak = Service("Keycloak", 0, server.pid)
    answered, began = _answered(server), time.monotonic()
    keycloak_before, proxy_before = keycloak.cpu_seconds(), way.cpu_seconds()
    for _ in range(SIGN_INS):
        start = time.monotonic()
        way.sign_in(next(way.people))
        way.wall_ms.append((time.monotonic() - start) * 1000)
    seconds = time.monotonic() - began
    way.keycloak_ms.append((keycloak.cpu_seconds() - keycloak_before) / SIGN_INS * 1000)
    spent = way.cpu_seconds() - proxy_before - way.idle * seconds
    way.proxy_ms.append(spent / SIGN_INS * 1000)
    way.requests += _answered(server) - answered


def _answered(server: kc.Keycloak) -> int:
    """Return how many requests Keycloak has written into its log."""
    return server.log.read_bytes().count(b" HTTP/1.") if server.log else 0


def _result(direct: Way, plain: Way, ours: Way, held: Way, native: Way) -> Result:
    ways = (direct, plain, ours, native, held)
    own, beyond = ours.proxy / direct.keycloak, (native.proxy - plain.proxy) / direct.keycloak
    interrupted = held.proxy / direct.keycloak
    inside = ours.keycloak / plain.keycloak - 1
    later = ours.wall - direct.wall
    more = max(ours.per_sign_in, native.per_sign_in) - direct.per_sign_in
    return Result(
        title="A complete Keycloak sign-in",
        method=(
            "Page, password (argon2, Keycloak's default), code redeemed by the application; people who are "
            f"covered, one after another: {SIGN_INS} sign-ins in each of {ROUNDS} interleaved rounds, after "
            f"{WARM_UP} by each way to warm up. Proxy CPU is that of all that stands in front of Keycloak, "
            "the gateway's worker and Valkey included, without what it needs in the same time when nobody "
            "comes (told apart). Somebody who is held sees what is missing, is registered meanwhile past our "
            "pages, and goes on: the portal's own sign-in and the repeated request are requests of ours. At "
            "this pace every proxy's caches are cold: plain nginx needs ten times what it needs in the mix."
        ),
        columns=(
            "",
            "Keycloak CPU ms",
            "proxy CPU ms",
            "of direct's Keycloak",
            "idle ms/s",
            "requests to Keycloak",
            "p50 ms",
        ),
        rows=[_row(way, direct) for way in ways],
        targets=[
            Target("Sparekey's own CPU at most 3 % of Keycloak's", f"{own:.1%}", own <= 0.03),
            Target("native, beyond plain nginx: at most 1 %", f"{beyond:.1%}", beyond <= 0.01),
            Target("held and released: at most 15 %", f"{interrupted:.1%}", interrupted <= 0.15),
            Target("requests of ours inside Keycloak, covered people: 0", f"{more:.2f}", more <= 0),
            Target("nothing added inside Keycloak (within noise: 5 %)", f"{inside:+.1%}", inside <= 0.05),
            Target("p50 at most 10 ms later than direct", f"{later:+.1f} ms", later <= 10),
        ],
    )


def _row(way: Way, direct: Way) -> tuple[str, ...]:
    cost = (f"{way.proxy:.2f}", f"{way.proxy / direct.keycloak:.1%}", f"{way.idle * 1000:.1f}")
    return (
        way.name,
        f"{way.keycloak:.1f}",
        *(cost if way.proxies else ("", "", "")),
        f"{way.per_sign_in:.2f}",
        f"{way.wall:.1f}",
    )
