"""One site: a provider, the gateway as `sparekey serve` runs it, and a data plane in front of it."""

import contextlib
import datetime as dt
import getpass
import os
import re
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import httpx

from gateway.settings import load
from gateway.stores import open_database, open_vault
from store.database import Database
from store.vault import Vault
from tests.data_plane.fake_keycloak import AUTHORIZATION, FakeKeycloak, fake_keycloak
from tests.servers import envoy_edge, nginx_lua, nginx_njs
from tests.servers.certificates import Authority
from tests.servers.processes import free_port, stop
from tests.servers.settings_file import Sections, unused_directory, write_settings
from tests.servers.visitor import Visitor, forms

Plane = Literal["embedded", "nginx", "njs", "envoy"]
SPAREKEY = Path(sys.executable).with_name("sparekey")
CALLBACK = "https://application.example.org/callback"

POLICY = """\
[[rules]]
name = "Everyone"
who = {{ everyone = true }}
kinds = ["email", "totp"]
register = 1
reset = 1
reconfirm_days = 0
on_fault = "{on_fault}"
"""


@dataclass
class Site:
    """A running site."""

    plane: Plane
    public: str
    folder: Path
    keycloak: FakeKeycloak
    gateway_port: int
    operations: int
    vault: Vault
    trust: ssl.SSLContext
    database: Database
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    visitors: list[Visitor] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.public.rpartition(":")[2])

    def visitor(self) -> Visitor:
        """Return a browser that trusts the site's certificate."""
        client = httpx.Client(
            trust_env=False, verify=self.trust, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.visitors.append(Visitor(client))
        return self.visitors[-1]

    def register(self, subject: str) -> None:
        """Give somebody a way back in."""
        now = dt.datetime.now(dt.UTC)
        with self.database.transaction() as transaction:
            person = transaction.people.ensure(self.keycloak.issuer, subject, now=now)
            transaction.authenticators.add(
                person.id, "email", b"somebody@example.net", now=now, trusted_from=now, provenance="self"
            )

    def address(self, **wishes: str) -> str:
        """Return where an application sends a browser."""
        query = {
            "client_id": "application",
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": CALLBACK,
            "state": secrets.token_urlsafe(8),
            **wishes,
        }
        return f"{self.public}{AUTHORIZATION}?{httpx.QueryParams(query)}"

    def sign_in(self, visitor: Visitor, name: str, **wishes: str) -> httpx.Response:
        """Type a name; return the answer to that."""
        page = visitor.get(self.address(**wishes))
        assert page.status_code == 200, page
        return visitor.post(forms(page)[0].action, {"username": name, "password": "x"})

    def metric(self, line: str) -> float:
        """Return a number of the gateway's; 0 where nothing was counted."""
        address = f"http://127.0.0.1:{self.operations}/sparekey/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(each.split()[-1]) for each in lines if each.startswith(line))

    def kill_gateway(self) -> None:
        """End the gateway as a crash would, with everything that it started."""
        process = self.processes.pop("gateway")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def has_code(answer: httpx.Response) -> bool:
    """Tell whether an answer lets somebody in, wherever it says so."""
    return re.search(r"\bcode=", f"{answer.headers}{answer.text}") is not None


def is_held(site: Site, answer: httpx.Response) -> bool:
    """Tell whether an answer leads to a held sign-in."""
    location = answer.headers.get("location", "")
    return answer.status_code == 303 and location.startswith(f"{site.public}/sparekey/hold/")


def eventually(fact: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@contextlib.contextmanager
def site(
    plane: Plane,
    folder: Path,
    *,
    on_fault: str = "deny",
    sections: Sections = MappingProxyType({}),
    options: Sequence[str] = (),
) -> Iterator[Site]:
    """Run a site behind one of the planes.

    Args:
        sections: Further ones of the settings.
        options: Further ones of the command that prints nginx's configuration.
    """
    with contextlib.ExitStack() as stack:
        started = _site(plane, folder, POLICY.format(on_fault=on_fault), sections, stack)
        started.processes["gateway"] = _start_gateway(started)
        stack.callback(_stop_all, started)
        if plane in {"nginx", "njs"}:
            stack.enter_context(_nginx(started, options))
        elif plane == "envoy":
            stack.enter_context(_envoy(started))
        yield started
        for visitor in started.visitors:
            visitor.client.close()


def _stop_all(started: Site) -> None:
    for process in started.processes.values():
        stop(process)


def _site(plane: Plane, folder: Path, policy: str, sections: Sections, stack: contextlib.ExitStack) -> Site:
    port, gateway_port, operations = free_port(), free_port(), free_port()
    authority = Authority.new(folder)
    authority.issue("edge")
    public = f"http://127.0.0.1:{gateway_port}" if plane == "embedded" else f"https://localhost:{port}"
    keycloak = stack.enter_context(fake_keycloak(public))
    edge: dict[str, Any] = {}
    if plane != "embedded":
        edge = {"data_plane_socket": str(folder / "edge.sock"), "trusted_proxies": ["127.0.0.1"]}
    file = write_settings(
        folder,
        policy,
        gateway={
            "public": public,
            "listen": f"127.0.0.1:{gateway_port}",
            "operations": f"127.0.0.1:{operations}",
            **edge,
        },
        idp={
            "kind": "keycloak",
            "address": keycloak.address,
            "issuer": keycloak.issuer,
            "client_secret": "not asked here",
        },
        directories=[unused_directory(authority.file, 1)],
        messages={"mail": {"host": "127.0.0.1", "port": 1, "tls": "none"}},
        **sections,
    )
    settings = load(file)
    database = open_database(settings)
    stack.callback(database.dispose)
    trust = ssl.create_default_context(cafile=str(authority.file))
    return Site(
        plane, public, folder, keycloak, gateway_port, operations, open_vault(settings), trust, database
    )


def _start_gateway(started: Site) -> subprocess.Popen[bytes]:
    with (started.folder / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [SPAREKEY, "serve", "--settings", started.folder / "sparekey.toml"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def is_ready() -> bool:
        assert process.poll() is None, (started.folder / "gateway.log").read_text()
        address = f"http://127.0.0.1:{started.operations}/sparekey/health/ready"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    eventually(is_ready, 60)
    return process


def restart_gateway(started: Site) -> None:
    """Start the gateway again after it was killed."""
    started.processes["gateway"] = _start_gateway(started)


@contextlib.contextmanager
def _nginx(started: Site, options: Sequence[str]) -> Iterator[None]:
    folder = started.folder / started.plane
    folder.mkdir()
    is_njs = started.plane == "njs"
    command: list[str | Path] = [
        *(SPAREKEY, "data-plane", "nginx", "--settings", started.folder / "sparekey.toml"),
        *("--listen", f"127.0.0.1:{started.port}", "--directory", folder, "--workers", "2"),
        *("--certificate", started.folder / "edge.pem", "--key", started.folder / "edge.key"),
        *("--user", "root" if os.geteuid() == 0 else getpass.getuser()),
        *(("--njs", folder / "scripts") if is_njs else ()),
        *options,
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    serving = nginx_njs.serving if is_njs else nginx_lua.serving
    with serving(printed.stdout, folder, started.port):
        # What is in force is heard some milliseconds after the start.
        eventually(lambda: started.metric("sparekey_data_plane_looks_total") > 1)
        yield


@contextlib.contextmanager
def _envoy(started: Site) -> Iterator[None]:
    folder = started.folder / "envoy"
    folder.mkdir()
    command: list[str | Path] = [
        *(SPAREKEY, "data-plane", "envoy", "--settings", started.folder / "sparekey.toml"),
        *("--listen", f"127.0.0.1:{started.port}", "--log", folder),
        *("--certificate", started.folder / "edge.pem", "--key", started.folder / "edge.key"),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    with envoy_edge.serving(printed.stdout, folder, started.port):
        eventually(lambda: started.metric("sparekey_data_plane_looks_total") > 1)
        yield
