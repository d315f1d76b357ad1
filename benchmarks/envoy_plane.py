"""The printed Envoy configuration against an Envoy that only carries, and against mod_auth_openidc."""

import base64
import contextlib
import datetime as dt
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import guarded, sign_in_pages
from benchmarks.gateway import PROGRAM, Address, Gateway, gateway
from benchmarks.harness import TESTED_CORE, Measured, Service, Unfit, Variant, compare, service
from benchmarks.sign_in_mix import CONNECTIONS, LINK, ROUNDS, SECONDS
from benchmarks.table import Result, Target
from gateway.data_plane.claim import Claim, cookie_suffix, mint
from store.vault import Vault
from tests.servers.forward_auth_proxies import installed
from tests.servers.processes import answers, free_port

MIX_LIMIT = 1.15
VERIFIED_LIMIT = 1.4
PEER_TIMES = 2
TYPES = "type.googleapis.com/envoy.extensions.filters"
METHOD = (
    f"Two comparisons, each one interleaved run of {ROUNDS} rounds of {SECONDS} s, {CONNECTIONS} "
    "connections, one worker. The mix is that of nginx's row: 1 sign-in page, 2 style sheets, 1 discovery "
    "document. The verified request is a sign-in of a decided session: the provider answers at once with a "
    "code, and Envoy compares the signed claim with that answer; what it verified once it remembers. The "
    "other Envoy carries the same and writes no log. mod_auth_openidc answers one request of somebody who is "
    "signed in, session in shared memory, no log. The gateway's CPU is counted with Envoy's, and its own "
    "count of requests is read before and after."
)


@dataclass(frozen=True, slots=True)
class Edges:
    """What is compared."""

    plain: Service
    ours: Service
    behind: Gateway
    peer: guarded.Guarded
    cookie: str
    """Of a decided session, with a claim for it."""


def run(folder: Path) -> Result:
    """Measure the mix and the verified request."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        edges = _edges(folder, stack)
        _check(edges)
        before = edges.behind.counted()
        ours = {"also_counted": [edges.behind.service]}
        measured = {"connections": CONNECTIONS, "seconds": SECONDS, "rounds": ROUNDS}
        mix = compare(
            [Variant(edges.plain), Variant(edges.ours, **ours)], sign_in_pages.native_mix(), **measured
        )
        verified = compare(
            [
                Variant(edges.plain, cookie=edges.cookie),
                Variant(edges.ours, cookie=edges.cookie, **ours),
                Variant(edges.peer.service, cookie=edges.peer.cookie, paths=["/"]),
            ],
            [sign_in_pages.authorization_path()],
            **measured,
        )
        _check(edges)
        reached = edges.behind.counted() - before
    return _result(mix, verified, reached)


def _edges(folder: Path, stack: contextlib.ExitStack) -> Edges:
    at, edge = Address.free(), free_port()
    public = f"http://127.0.0.1:{edge}"
    environment = {
        "SPAREKEY_GATEWAY__PUBLIC": public,
        "SPAREKEY_GATEWAY__DATA_PLANE_SOCKET": str(folder / "edge.sock"),
        "SPAREKEY_GATEWAY__TRUSTED_PROXIES": '["127.0.0.1"]',
    }
    upstream = stack.enter_context(sign_in_pages.upstream(folder / "upstream", public))
    issuer = f"{public}{sign_in_pages.REALM}"
    provider = f"http://127.0.0.1:{upstream.port}"
    behind = stack.enter_context(
        gateway(folder / "gateway", at, idp_address=provider, issuer=issuer, environment=environment)
    )
    application = stack.enter_context(guarded.application(folder / "application"))
    return Edges(
        plain=stack.enter_context(_plain(folder / "plain", upstream.port)),
        ours=stack.enter_context(_printed(folder / "printed", behind, edge, environment)),
        behind=behind,
        peer=stack.enter_context(guarded.mod_auth_openidc(folder / "apache", application)),
        cookie=_decided(behind, issuer, folder / "edge.sock"),
    )


def _decided(behind: Gateway, issuer: str, socket: Path) -> str:
    """Return the cookies of a session that was decided; the claim is one that the gateway could have made."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as client:
        said = client.post("http://sparekey/state").text
    version = re.match(r"version=(\d+)", said)
    if version is None:
        raise Unfit("the gateway does not say what holds")
    key = tomllib.loads(behind.settings.read_text())["vault"]["keys"][0]
    claim = Claim(
        issuer=issuer,
        session_id=sign_in_pages.SESSION,
        client_id="application",
        redirect_uri=sign_in_pages.CALLBACK,
        client_address="127.0.0.1",
        policy_version=int(version[1]),
        ends=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    )
    token = mint(claim, Vault([base64.b64decode(key)]))
    return f"KEYCLOAK_IDENTITY=a.b.c; sparekey-decided-{cookie_suffix('application')}={token}"


@contextlib.contextmanager
def _printed(folder: Path, behind: Gateway, port: int, environment: dict[str, str]) -> Iterator[Service]:
    """Run what `sparekey data-plane envoy` prints."""
    folder.mkdir()
    options = ["--listen", f"127.0.0.1:{port}", "--log", str(folder)]
    command = [str(PROGRAM), "data-plane", "envoy", "--settings", str(behind.settings), *options]
    printed = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    with _envoy("Sparekey's Envoy", printed.stdout, port, folder) as running:
        yield running


@contextlib.contextmanager
def _plain(folder: Path, upstream: int) -> Iterator[Service]:
    """Run an Envoy that only carries."""
    folder.mkdir()
    port = free_port()
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "plain",
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "provider"}}],
                }
            ]
        },
    }
    listener = {
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    }
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}
    cluster = {
        "name": "provider",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "provider", "endpoints": [endpoint]},
    }
    configuration = json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    with _envoy("Envoy without us", configuration, port, folder) as running:
        yield running


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.contextmanager
def _envoy(name: str, configuration: str, port: int, folder: Path) -> Iterator[Service]:
    file = folder / "envoy.yaml"
    file.write_text(configuration)
    command = [installed("envoy"), "-c", file, "--concurrency", "1", "--disable-hot-restart"]
    with service(
        name,
        [*command, "--log-level", "warning"],
        port=port,
        core=TESTED_CORE,
        log=folder / "log",
        ready=lambda: answers(port),
    ) as running:
        yield running


def _check(edges: Edges) -> None:
    """Make sure that each does its work: a link, a decided session, and nobody else."""
    edges.peer.check()
    for each in (edges.plain, edges.ours):
        for path in sign_in_pages.native_mix():
            answer = httpx.get(f"http://127.0.0.1:{each.port}{path}", trust_env=False)
            is_page = sign_in_pages.MARK in answer.content
            if answer.status_code != 200 or (
                is_page and (LINK in answer.content) is not (each is edges.ours)
            ):
                raise Unfit(f"{each.name}: {answer.status_code} for {path}")
    address = f"http://127.0.0.1:{edges.ours.port}{sign_in_pages.authorization_path()}"
    told = httpx.get(address, headers={"Cookie": edges.cookie}, trust_env=False)
    if told.headers.get("location") != sign_in_pages.SIGNED_IN:
        raise Unfit(f"a decided session does not get in: {told.status_code}")
    forged = edges.cookie[:-4] + "AAAA"
    told = httpx.get(address, headers={"Cookie": forged}, trust_env=False)
    if "code=" in told.headers.get("location", ""):
        raise Unfit("a forged claim is believed")


def _result(mix: list[Measured], verified: list[Measured], reached: int) -> Result:
    plain, ours, peer = verified
    mix_ratio = mix[1].median("cpu_us") / mix[0].median("cpu_us")
    verified_ratio = ours.median("cpu_us") / plain.median("cpu_us")
    times = ours.median("per_second") / peer.median("per_second")
    return Result(
        title="Envoy as data plane: the mix, and a request whose claim is verified",
        method=METHOD,
        columns=("", "CPU µs/request", "ratio", "requests/s", "p50 µs", "p99 µs", "memory MiB"),
        rows=[
            *(_row(each, "mix", mix[0]) for each in mix),
            *(_row(each, "verified", plain) for each in verified),
        ],
        targets=[
            Target(f"CPU of the mix: at most {MIX_LIMIT}", f"{mix_ratio:.2f}", mix_ratio <= MIX_LIMIT),
            Target(
                f"CPU of a verified request: at most {VERIFIED_LIMIT}",
                f"{verified_ratio:.2f}",
                verified_ratio <= VERIFIED_LIMIT,
            ),
            Target(
                f"requests per second, verified, against mod_auth_openidc: at least {PEER_TIMES}",
                f"{times:.2f}",
                times >= PEER_TIMES,
            ),
            Target("requests that reach the gateway: 0", str(reached), reached == 0),
        ],
    )


def _row(each: Measured, what: str, against: Measured) -> tuple[str, ...]:
    return (
        f"{each.name}, {what}",
        f"{each.median('cpu_us'):.1f}",
        f"{each.median('cpu_us') / against.median('cpu_us'):.2f}",
        f"{each.median('per_second'):.0f}",
        f"{each.median('p50_us'):.0f}",
        f"{each.median('p99_us'):.0f}",
        f"{each.median('memory_mib'):.0f}",
    )
