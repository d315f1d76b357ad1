"""The printed nginx configuration against an nginx that only carries, and what still reaches the gateway."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks import others, sign_in_pages
from benchmarks.gateway import PROGRAM, Address, Gateway, gateway
from benchmarks.harness import TESTED_CORE, Measured, Service, Unfit, Variant, compare, service
from benchmarks.sign_in_mix import CONNECTIONS, LINK, ROUNDS, SECONDS
from benchmarks.table import Result, Target
from tests.data_plane.site import has_code, site
from tests.servers.processes import answers, free_port

LIMIT = 1.15
SIGN_INS = 200
METHOD = (
    f"1 sign-in page of {sign_in_pages.PAGE_BYTES // 1024} kB at an authorization address, 2 style sheets of "
    f"{sign_in_pages.STYLE_BYTES // 1024} kB, 1 discovery document, in turn; {CONNECTIONS} connections, "
    f"{ROUNDS} interleaved rounds of {SECONDS} s, one worker. The printed configuration checks every answer, "
    "puts the link in, remembers every request that could become a sign-in, and writes a log line per "
    "request; of the others one writes nginx's usual line. Then one covered person signs in "
    f"{SIGN_INS} times in a session that was decided, and the gateway's own count of requests is read before "
    "and after."
)


def run(folder: Path) -> Result:
    """Measure the mix, then count."""
    at, edge = Address.free(), free_port()
    public = f"http://127.0.0.1:{edge}"
    folder.mkdir(parents=True)
    environment = {
        "SPAREKEY_GATEWAY__PUBLIC": public,
        "SPAREKEY_GATEWAY__DATA_PLANE_SOCKET": str(folder / "edge.sock"),
        "SPAREKEY_GATEWAY__TRUSTED_PROXIES": '["127.0.0.1"]',
    }
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(sign_in_pages.upstream(folder / "upstream", public))
        behind = stack.enter_context(
            gateway(
                folder / "gateway",
                at,
                idp_address=f"http://127.0.0.1:{upstream.port}",
                issuer=f"{public}{sign_in_pages.REALM}",
                environment=environment,
            )
        )
        plain = stack.enter_context(others.nginx(folder / "nginx", upstream.port))
        logging = stack.enter_context(others.nginx(folder / "logging", upstream.port, log=True))
        ours = stack.enter_context(printed(folder / "printed", behind, edge, environment))
        for each in (plain, logging, ours):
            _check(each, has_link=each is ours)
        before = behind.counted()
        measured = compare(
            [Variant(plain), Variant(logging), Variant(ours, also_counted=[behind.service])],
            sign_in_pages.native_mix(),
            connections=CONNECTIONS,
            seconds=SECONDS,
            rounds=ROUNDS,
        )
        reached = behind.counted() - before
    return _result(measured, reached, _asked_again(folder / "site"))


@contextlib.contextmanager
def printed(folder: Path, behind: Gateway, port: int, environment: dict[str, str]) -> Iterator[Service]:
    """Run what `sparekey data-plane nginx` prints."""
    folder.mkdir()
    user = "root" if os.geteuid() == 0 else "nobody"
    options = ["--listen", f"127.0.0.1:{port}", "--workers", "1", "--user", user, "--directory", str(folder)]
    command = [str(PROGRAM), "data-plane", "nginx", "--settings", str(behind.settings), *options]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
        ).stdout
    )
    run: list[str | Path] = [
        "nginx",
        "-p",
        folder,
        "-e",
        folder / "error.log",
        "-c",
        configuration,
        "-g",
        "daemon off;",
    ]
    with service(
        "Sparekey's nginx, link put in",
        run,
        port=port,
        core=TESTED_CORE,
        log=folder / "log",
        ready=lambda: answers(port),
    ) as running:
        yield running


def _check(each: Service, *, has_link: bool) -> None:
    for path in sign_in_pages.native_mix():
        answer = httpx.get(f"http://127.0.0.1:{each.port}{path}", trust_env=False)
        if answer.status_code != 200:
            raise Unfit(f"{each.name}: {answer.status_code} for {path}")
        if sign_in_pages.MARK in answer.content and (LINK in answer.content) is not has_link:
            raise Unfit(f"{each.name}: the link is {'missing' if has_link else 'there'}")


def _asked_again(folder: Path) -> int:
    """Return how many requests reach the gateway while a decided session signs in again and again."""
    folder.mkdir()
    with site("nginx", folder) as started:
        started.register("covered")
        visitor = started.visitor()
        if not has_code(started.sign_in(visitor, "covered")):
            raise Unfit("a covered person does not get in")
        before = started.metric("sparekey_requests_total")
        for _ in range(SIGN_INS):
            if not has_code(visitor.get(started.address())):
                raise Unfit("a decided session does not get in")
        return round(started.metric("sparekey_requests_total") - before)


def _result(measured: list[Measured], reached: int, asked_again: int) -> Result:
    plain, _, ours = measured
    ratio = ours.median("cpu_us") / plain.median("cpu_us")
    return Result(
        title="A native data plane: the same mix through the printed nginx configuration",
        method=METHOD,
        columns=("", "CPU µs/request", "ratio", "requests/s", "p50 µs", "p99 µs", "memory MiB"),
        rows=[
            (
                each.name,
                f"{each.median('cpu_us'):.1f}",
                f"{each.median('cpu_us') / plain.median('cpu_us'):.2f}",
                f"{each.median('per_second'):.0f}",
                f"{each.median('p50_us'):.0f}",
                f"{each.median('p99_us'):.0f}",
                f"{each.median('memory_mib'):.0f}",
            )
            for each in measured
        ],
        targets=[
            Target(
                f"CPU against nginx `proxy_pass`, the gateway's included: at most {LIMIT}",
                f"{ratio:.2f}",
                ratio <= LIMIT,
            ),
            Target("requests of the mix that reach the gateway: 0", str(reached), reached == 0),
            Target(
                f"requests that reach it in {SIGN_INS} sign-ins of a decided session: 0",
                str(asked_again),
                asked_again == 0,
            ),
        ],
    )
