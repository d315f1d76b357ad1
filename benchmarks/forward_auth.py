"""A request of somebody who is signed in, to an application that a proxy guards."""

import contextlib
from pathlib import Path

from benchmarks import guarded
from benchmarks.guarded import Guarded
from benchmarks.harness import Measured, Variant, compare
from benchmarks.table import Result, Target

CONNECTIONS = 32
SECONDS = 3
ROUNDS = 5
REMEMBERED = "nginx + Sparekey, an ended session passes for 250 ms at most"
ASKED = "nginx + Sparekey, Redis asked at every request"
METHOD = (
    f"One person, signed in by a real sign-in, asks for {len(guarded.BODY)} bytes of JSON; {CONNECTIONS} "
    f"connections, {ROUNDS} interleaved rounds of {SECONDS} s. CPU is that of the whole way: nginx with "
    "`deploy/forward-auth/nginx.conf` (without TLS), `sparekey serve` with its Valkey, log and metrics; "
    "Apache with mod_auth_openidc and its session in shared memory, without a log. Before and after each "
    "round the person must get in and a stranger must not. Every session can be ended at any time: by a "
    "reset, by signing out, or by the provider's back channel. As shipped, Sparekey asks Redis eight times a "
    "second whether any was; in the row below it asks at every request, where requests that arrive together "
    "share one answer."
)


def run(folder: Path) -> Result:
    """Measure the ways to guard an application."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(guarded.application(folder / "application"))
        ways = [
            stack.enter_context(guarded.unguarded(folder / "plain", upstream)),
            stack.enter_context(guarded.sparekey(folder / "remembered", upstream, REMEMBERED, 250)),
            stack.enter_context(guarded.sparekey(folder / "asked", upstream, ASKED, 0)),
            stack.enter_context(guarded.mod_auth_openidc(folder / "apache", upstream)),
        ]
        variants = [_variant(way) for way in ways]
        return _result(compare(variants, ["/"], connections=CONNECTIONS, seconds=SECONDS, rounds=ROUNDS))


def _variant(way: Guarded) -> Variant:
    way.check()
    return Variant(
        way.service,
        also_counted=way.asked,
        before=way.check,
        after=lambda *_: way.check(),
        cookie=way.cookie,
    )


def _result(measured: list[Measured]) -> Result:
    _, remembered, asked, peer = (each.median("cpu_us") for each in measured)
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
            _at_most("CPU against mod_auth_openidc, as shipped", remembered / peer, 0.6),
            _at_most("CPU against mod_auth_openidc, Redis asked at every request", asked / peer, 1.2),
        ],
    )


def _at_most(what: str, found: float, limit: float) -> Target:
    return Target(f"{what}: at most {limit}", f"{found:.2f}", found <= limit)
