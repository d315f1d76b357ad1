"""One sign-in page with the link put in, two style sheets and one JSON answer, against other proxies."""

import contextlib
from pathlib import Path

import httpx

from benchmarks import others, sign_in_pages
from benchmarks.gateway import Address, gateway
from benchmarks.harness import Measured, Service, Unfit, Variant, compare
from benchmarks.table import Result, Target

CONNECTIONS = 32
SECONDS = 3
ROUNDS = 5
LINK = b'id="sparekey-link"'
METHOD = (
    f"1 sign-in page of {sign_in_pages.PAGE_BYTES // 1024} kB at an authorization address, 2 style sheets of "
    f"{sign_in_pages.STYLE_BYTES // 1024} kB, 1 JSON answer, in turn; {CONNECTIONS} connections, {ROUNDS} "
    f"interleaved rounds of {SECONDS} s. Sparekey puts the link in, looks at every answer for a sign-in, "
    "remembers every request that could become one, writes a log line per request and counts it; the others "
    "write no log. `direct` is the upstream itself."
)


def run(folder: Path) -> Result:
    """Measure the five ways to answer the mix."""
    at = Address.free()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(sign_in_pages.upstream(folder / "upstream", at.public))
        ours = stack.enter_context(
            gateway(
                folder / "gateway",
                at,
                idp_address=f"http://127.0.0.1:{upstream.port}",
                issuer=f"{at.public}{sign_in_pages.REALM}",
            )
        )
        nginx = stack.enter_context(others.nginx(folder / "nginx", upstream.port))
        apache = stack.enter_context(others.apache(folder / "apache", upstream.port))
        ordinary = stack.enter_context(others.ordinary(folder / "ordinary", upstream.port))
        for service in (upstream, nginx, apache, ours.service, ordinary):
            _check(service, has_link=service in {ours.service, ordinary})
        plain = [Variant(service) for service in (upstream, nginx, apache)]
        variants = [*plain, ours.variant(), Variant(ordinary)]
        paths = sign_in_pages.mix()
        return _result(compare(variants, paths, connections=CONNECTIONS, seconds=SECONDS, rounds=ROUNDS))


def _check(service: Service, *, has_link: bool) -> None:
    """Load nothing that does not do its work."""
    for path in sign_in_pages.mix():
        answer = httpx.get(f"http://127.0.0.1:{service.port}{path}", trust_env=False)
        if answer.status_code != 200:
            raise Unfit(f"{service.name}: {answer.status_code} for {path}")
        is_page = sign_in_pages.MARK in answer.content
        if is_page and (LINK in answer.content) is not has_link:
            raise Unfit(f"{service.name}: the link is {'missing' if has_link else 'there'}")


def _result(measured: list[Measured]) -> Result:
    _, nginx, apache, ours, ordinary = measured
    cpu = {each.name: each.median("cpu_us") for each in measured}
    floor = cpu[nginx.name]
    return Result(
        title="A sign-in's requests: page, style sheets, JSON",
        method=METHOD,
        columns=("", "CPU µs/request", "ratio", "requests/s", "p50 µs", "p99 µs", "memory MiB"),
        rows=[
            (
                each.name,
                f"{cpu[each.name]:.1f}",
                f"{cpu[each.name] / floor:.2f}",
                f"{each.median('per_second'):.0f}",
                f"{each.median('p50_us'):.0f}",
                f"{each.median('p99_us'):.0f}",
                f"{each.median('memory_mib'):.0f}",
            )
            for each in measured
        ],
        targets=[
            _at_most("CPU against nginx `proxy_pass`", cpu[ours.name] / floor, 3.0),
            _at_most("CPU against Apache `mod_proxy`", cpu[ours.name] / cpu[apache.name], 1.0),
            Target(
                "gunicorn + Flask + urllib3 needs at least 7 times as much",
                f"{cpu[ordinary.name] / cpu[ours.name]:.1f}",
                cpu[ordinary.name] / cpu[ours.name] >= 7,
            ),
        ],
    )


def _at_most(what: str, found: float, limit: float) -> Target:
    return Target(f"{what}: at most {limit}", f"{found:.2f}", found <= limit)
