"""A request of somebody who is signed in, to an application that a proxy guards."""

import contextlib
from pathlib import Path

from benchmarks import guarded
from benchmarks.guarded import Guarded
from benchmarks.harness import Load, Measured, Variant, compare
from benchmarks.table import Result, Target

CONNECTIONS = 32
SECONDS = 3
ROUNDS = 5
NATIVE = "nginx by itself, as `sparekey data-plane applications` prints it"
REMEMBERED = "nginx + Sparekey, an ended session passes for 250 ms at most"
ASKED = "nginx + Sparekey, Redis asked at every request"
METHOD = (
    f"One person, signed in by a real sign-in, asks for {len(guarded.BODY)} bytes of JSON; {CONNECTIONS} "
    f"connections, {ROUNDS} interleaved rounds of {SECONDS} s. CPU is that of the whole way: nginx with "
    "`deploy/forward-auth/nginx.conf` or with what is printed, both without TLS and without a log; "
    "`sparekey serve` with its Valkey, log and metrics; Apache with mod_auth_openidc and its session in "
    "shared memory, without a log. Before and after each round the person must get in and a stranger must "
    "not. Every session can be ended at any time: by a reset, by signing out, or by the provider's back "
    "channel. By itself, nginx asks the gateway eight times a second whether any was, and the gateway asks "
    "Redis; behind `auth_request`, as shipped, Sparekey asks Redis as often, and in the row below it at "
    "every request, where requests that arrive together share one answer."
)


def run(folder: Path) -> Result:
    """Measure the ways to guard an application."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(guarded.application(folder / "application"))
        ways = [
            stack.enter_context(guarded.unguarded(folder / "plain", upstream)),
            stack.enter_context(guarded.natively(folder / "native", upstream, NATIVE)),
            stack.enter_context(guarded.sparekey(folder / "remembered", upstream, REMEMBERED, 250)),
            stack.enter_context(guarded.sparekey(folder / "asked", upstream, ASKED, 0)),
            stack.enter_context(guarded.mod_auth_openidc(folder / "apache", upstream)),
        ]
        reached: list[int] = []
        variants = [_variant(way, reached if way is ways[1] else []) for way in ways]
        measured = compare(variants, ["/"], connections=CONNECTIONS, seconds=SECONDS, rounds=ROUNDS)
    return _result(measured, sum(reached))


def _variant(way: Guarded, reached: list[int]) -> Variant:
    """Return a way, with what asks it to note how many questions a load took."""

    def before() -> int:
        way.check()
        return way.questions()

    def after(asked: object, _load: Load, _connections: int) -> None:
        assert isinstance(asked, int)
        reached.append(way.questions() - asked)
        way.check()

    before()
    return Variant(way.service, also_counted=way.asked, before=before, after=after, cookie=way.cookie)


def _result(measured: list[Measured], reached: int) -> Result:
    plain, native, remembered, asked, peer = (each.median("cpu_us") for each in measured)
    faster = measured[1].median("per_second") / measured[-1].median("per_second")
    return Result(
        title="A guarded application: one request of somebody who is signed in",
        method=METHOD,
        columns=("", "CPU µs/request", "ratio", "requests/s", "p50 µs", "p99 µs"),
        rows=[
            (
                each.name,
                f"{each.median('cpu_us'):.1f}",
                f"{each.median('cpu_us') / peer:.2f}",
                f"{each.median('per_second'):.0f}",
                f"{each.median('p50_us'):.0f}",
                f"{each.median('p99_us'):.0f}",
            )
            for each in measured
        ],
        targets=[
            _at_most("CPU natively, against the same nginx without auth", native / plain, 1.15),
            Target(
                "requests per second natively, against mod_auth_openidc: at least 4 times",
                f"{faster:.1f}",
                faster >= 4,
            ),
            Target("requests that reached Python natively: 0", str(reached), reached == 0),
            _at_most("CPU against mod_auth_openidc, as shipped", remembered / peer, 0.6),
            _at_most("CPU against mod_auth_openidc, Redis asked at every request", asked / peer, 1.2),
        ],
    )


def _at_most(what: str, found: float, limit: float) -> Target:
    return Target(f"{what}: at most {limit}", f"{found:.2f}", found <= limit)
