"""A gateway's end and agents' ends over one real Valkey, in front of a real directory."""

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from joserfc.jwk import OKPKey

from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.writeback import beat
from idp_plugin.writeback.agent import Agent
from idp_plugin.writeback.agent_directory import AgentDirectory, Dialect
from idp_plugin.writeback.beat import Health
from idp_plugin.writeback.boundary import Boundary
from idp_plugin.writeback.channel import AgentEnd, ChannelDown, GatewayEnd
from idp_plugin.writeback.identity import AgentIdentity, IdentityFile, new_identity
from idp_plugin.writeback.keys import new_signing_key, public_key, public_text
from idp_plugin.writeback.order_log import OrderLog
from idp_plugin.writeback.record import Record
from idp_plugin.writeback.remote import RemoteDirectory, Signer
from idp_plugin.writeback.roster import PinnedAgent, Roster
from idp_plugin.writeback.settings import WriteLimits
from idp_plugin.writeback.streams import StreamAgentEnd, StreamGatewayEnd
from tests.servers.slapd import Slapd

ISSUER = "https://sso.example.org"
DIRECTORY = "corp"
UNLIMITED = WriteLimits(per_minute=1_000_000, per_day=1_000_000, per_person_and_day=1_000_000)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class MemoryRegistry:
    """The gateway's list of agents, without a database."""

    def __init__(self) -> None:
        self.agents: dict[str, PinnedAgent] = {}

    def of(self, directory: str) -> tuple[PinnedAgent, ...]:
        return tuple(agent for agent in self.agents.values() if agent.directory == directory)

    def adopt(self, agent: str, *, signing: str, generation: int) -> None:
        self.agents[agent] = replace(self.agents[agent], signing=signing, generation=generation)


@dataclass
class ArrangedAgent:
    """One agent with its folder, its channel, and a thread or none."""

    id: str
    folder: Path
    channel: AgentEnd
    agent: Agent
    record: Record
    clock: Callable[[], dt.datetime]
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def identity(self) -> AgentIdentity:
        return self.agent.identity

    def beat(self, health: Health | None = None) -> None:
        self.channel.beat(beat.make(self.identity, health or Health(), self.clock()))

    def start(self, threads: int = 1) -> None:
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(ChannelDown):
                self.agent.step(dt.timedelta(seconds=0.2))

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(10)
        self.channel.close()
        self.record.close()


class Office:
    """One directory behind agents."""

    def __init__(
        self, folder: Path, gateway_end: GatewayEnd, agent_end: Callable[[AgentIdentity], AgentEnd]
    ) -> None:
        self.folder = folder
        self.registry = MemoryRegistry()
        self.key: OKPKey = new_signing_key()
        self.introductions: tuple[str, ...] = ()
        self.gateway_end = gateway_end
        self.agent_end = agent_end
        self.agents: list[ArrangedAgent] = []
        self.roster = Roster(DIRECTORY, self.registry, gateway_end, utc_now)

    def remote(self, seconds: float = 5) -> RemoteDirectory:
        return RemoteDirectory(
            DIRECTORY,
            ISSUER,
            channel=self.gateway_end,
            roster=self.roster,
            signer=lambda: Signer(self.key, self.introductions),
            clock=utc_now,
            deadline=dt.timedelta(seconds=seconds),
        )

    def add(
        self,
        dialect: Dialect,
        *,
        limits: WriteLimits = UNLIMITED,
        clock: Callable[[], dt.datetime] = utc_now,
        start: bool = True,
    ) -> ArrangedAgent:
        number = len(self.agents) + 1
        state = self.folder / f"agent-{number}"
        state.mkdir(parents=True)
        file = IdentityFile(state)
        public = public_key(public_text(self.key), "Ed25519")
        identity = replace(new_identity(DIRECTORY, clock()), id=f"agent-{number}", gateway=public)
        file.write(identity)
        self.registry.agents[identity.id] = PinnedAgent(
            identity.id, f"Agent {number}", DIRECTORY, public_text(identity.signing), 1
        )
        return self.open(state, dialect, limits=limits, clock=clock, start=start)

    def open(
        self,
        state: Path,
        dialect: Dialect,
        *,
        limits: WriteLimits = UNLIMITED,
        clock: Callable[[], dt.datetime] = utc_now,
        start: bool = True,
    ) -> ArrangedAgent:
        """Start an agent on a folder that may have been used before."""
        file, record = IdentityFile(state), Record(state / "orders.sqlite")
        channel = self.agent_end(file.read())
        agent = Agent(
            file=file,
            channel=channel,
            directory=AgentDirectory([dialect], name=DIRECTORY, source=ISSUER),
            record=record,
            boundary=Boundary(
                target=DIRECTORY, limits=limits, record=record, stop_file=state / "stop", clock=clock
            ),
            order_log=OrderLog(state / "orders.log", clock),
            clock=clock,
        )
        arranged = ArrangedAgent(file.read().id, state, channel, agent, record, clock)
        self.agents.append(arranged)
        arranged.beat()
        if start:
            arranged.start()
        return arranged

    def close(self) -> None:
        for agent in self.agents:
            agent.end()
        self.gateway_end.close()


@contextlib.contextmanager
def over_streams(
    folder: Path, url: str, redelivery: dt.timedelta = dt.timedelta(seconds=0.5)
) -> Iterator[Office]:
    office = Office(
        folder,
        StreamGatewayEnd(url, DIRECTORY),
        lambda identity: StreamAgentEnd(url, DIRECTORY, identity.id, redelivery=redelivery),
    )
    try:
        yield office
    finally:
        office.close()


def adapter(slapd: Slapd) -> OpenLdap:
    """The directory as an agent reaches it."""
    return OpenLdap(slapd.settings(), ISSUER)


def agent_toml(folder: Path, slapd: Slapd, url: str, *, kind: str = "redis", more: str = "") -> Path:
    """Write an agent's settings file; return where it is."""
    reached = slapd.settings()
    password = folder / "bind-password"
    password.write_text(reached.bind_password.get_secret_value(), "utf-8")
    file = folder / "agent.toml"
    text = f"""\
state = "{folder}/state"
{more}
[channel]
kind = "{kind}"
url = "{url}"

[directory]
name = "{DIRECTORY}"
servers = ["{reached.servers[0]}"]
ca = "{reached.ca}"
bind_dn = "{reached.bind_dn}"
bind_password_file = "{password}"
base = "{reached.base}"
protected_groups = ["{reached.protected_groups[0]}"]
"""
    file.write_text(text, "utf-8")
    return file
