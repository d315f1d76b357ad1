"""What the agents' row asks: slapd, Samba, a gateway over TLS, and agents of both channels, as programs."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway import PROGRAM
from benchmarks.harness import Service, Unfit
from gateway.agents.opening import open_writeback
from gateway.agents.writeback import Writeback
from gateway.settings import load
from gateway.stores import redis_beside
from idp_plugin.demo import servers
from idp_plugin.demo.pki import make_certificates
from idp_plugin.demo.servers import DemoAddresses
from idp_plugin.ldap.adapters import open_adapter
from idp_plugin.settings import DirectorySettings
from idp_plugin.writeback.joining import LIFE, Invitation
from tests.servers.processes import answers, free_port, running
from tests.servers.samba import SambaDomain, SambaPerson
from tests.servers.samba import serving as samba_serving
from tests.servers.settings_file import before_demo, write_settings, write_toml
from tests.servers.slapd import POLICY_DN, Slapd, SlapdPerson

CHANNELS = ("redis", "https")
PEOPLE = 20
_PASSWORD_FILE = "bind-password"

_POLICY = """\
[[rules]]
name = "Everybody"
register = 1
reset = 1
[rules.who]
everyone = true
"""


@dataclass(frozen=True, slots=True)
class Place:
    """One directory with people to write to."""

    name: str
    """As the table says."""
    word: str
    """In names of directories and files."""
    settings: DirectorySettings
    arrange: Callable[[], None]
    """Makes it as the name says; places may share a server."""

    def accounts(self) -> tuple[str, ...]:
        """Return everybody's immutable id."""
        everyone = open_adapter(self.settings, "").everyone()
        return tuple(each.account.id for each in everyone if each.username.startswith("person"))

    def behind(self, channel: str) -> str:
        """Return the name of this directory as one that is reached by agents over a channel."""
        return f"{self.word}-{channel}"


@contextlib.contextmanager
def places(folder: Path) -> Iterator[Sequence[Place]]:
    """Start a slapd that remembers no passwords, then three, and a Samba."""
    administrator = SlapdPerson("erin", "Erin-Passw0rd", groups=("administrators",))
    staff = [SlapdPerson(f"person{number}", f"Old-Passw0rd-{number}") for number in range(PEOPLE)]
    there = [SambaPerson(each.uid, each.password) for each in staff]
    protected = SambaPerson(administrator.uid, administrator.password, ("protected",))
    with (
        Slapd(folder / "slapd", [administrator, *staff]) as slapd,
        samba_serving(folder / "samba") as samba,
        SambaDomain(samba, [protected, *there]) as domain,
    ):

        def remembering(count: int) -> Callable[[], None]:
            return lambda: slapd.change(POLICY_DN, pwdInHistory=str(count))

        yield (
            Place("OpenLDAP", "openldap", slapd.settings(name="openldap"), remembering(0)),
            Place("OpenLDAP, history of 3", "history", slapd.settings(name="history"), remembering(3)),
            Place("Samba AD", "samba", domain.settings(name="samba"), lambda: None),
        )


@dataclass(frozen=True, slots=True)
class World:
    """A gateway with one agent per place and channel."""

    writeback: Writeback
    gateway: Service
    agents: Mapping[str, Service]
    """By `Place.behind`."""
    redis: str
    """The address of the gateway's own."""


@contextlib.contextmanager
def world(folder: Path, around: Sequence[Place]) -> Iterator[World]:
    """Start everything but the places, and wait until every agent takes orders."""
    folder.mkdir()
    port, application = free_port(), free_port()
    public, names = f"https://localhost:{port}", [each.behind(way) for each in around for way in CHANNELS]
    certificates = make_certificates(folder / "tls")
    (folder / "demo").mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        addresses = DemoAddresses(public, f"http://127.0.0.1:{application}")
        provider = stack.enter_context(servers.start_at(addresses, folder / "demo", application))
        file = write_settings(
            folder,
            _POLICY,
            gateway={
                "public": public,
                "listen": f"127.0.0.1:{port}",
                "operations": "",
                "tls": {"certificate": str(certificates.certificate), "key": str(certificates.key)},
            },
            idp=before_demo(provider, public),
            directories=[{"name": name, "agent": True} for name in names],
            messages={"default_region": "US"},
            demo={"outbox": str(folder / "outbox")},
        )
        command: list[str | Path] = [PROGRAM, "serve", "--settings", file]
        process = stack.enter_context(
            running(command, log=folder / "gateway.log", ready=lambda: answers(port), seconds=60)
        )
        settings = load(file)
        writeback = open_writeback(settings)
        stack.callback(writeback.database.dispose)
        stack.callback(writeback.close)
        agents = {}
        for place in around:
            for way in CHANNELS:
                name = place.behind(way)
                https = {"kind": "https", "url": f"{public}/sparekey", "ca": str(certificates.authority)}
                file = _agent_file(folder / name, name, place.settings, https)
                token = str(Invitation.of(writeback.invite(name, LIFE, "benchmark"), writeback.signer.key))
                _join(file, token)
                if way == "redis":
                    _agent_file(
                        folder / name, name, place.settings, {"kind": way, "url": redis_beside(settings)}
                    )
                agents[name] = stack.enter_context(_agent(file, writeback, name))
        yield World(writeback, Service("gateway", port, process.pid), agents, redis_beside(settings))


def _agent_file(folder: Path, name: str, reached: DirectorySettings, channel: Mapping[str, str]) -> Path:
    (folder / "state").mkdir(parents=True, mode=0o700, exist_ok=True)
    (folder / _PASSWORD_FILE).write_text(reached.bind_password.get_secret_value(), "utf-8")
    directory = {
        "name": name,
        "kind": reached.kind,
        "servers": list(reached.servers),
        "ca": str(reached.ca),
        "bind_dn": reached.bind_dn,
        "bind_password_file": str(folder / _PASSWORD_FILE),
        "base": reached.base,
        "protected_groups": list(reached.protected_groups),
    }
    limits = dict.fromkeys(("per_minute", "per_day", "per_person_and_day"), 100_000)
    return write_toml(
        folder / "agent.toml",
        {"state": str(folder / "state"), "channel": channel, "directory": directory, "limits": limits},
    )


def _join(file: Path, token: str) -> None:
    command = [str(PROGRAM), "agent", "--settings", str(file), "join", token]
    joined = subprocess.run(command, capture_output=True, text=True, check=False)
    if joined.returncode:
        raise Unfit(joined.stderr)


@contextlib.contextmanager
def _agent(file: Path, writeback: Writeback, name: str) -> Iterator[Service]:
    def ready() -> bool:
        time.sleep(0.1)
        return any(each.takes_orders for each in writeback.agents()[name])

    command: list[str | Path] = [PROGRAM, "agent", "--settings", file]
    with running(command, log=file.with_suffix(".log"), ready=ready, seconds=60) as process:
        yield Service(name, 0, process.pid)
