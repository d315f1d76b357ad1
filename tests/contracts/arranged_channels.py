"""The channels under test: streams in a real Valkey, and the gateway's HTTPS endpoint in front of them."""

import contextlib
import datetime as dt
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.serving import make_server

from gateway.agents.calls import Calls
from gateway.agents.endpoint import create_endpoint
from gateway.agents.writeback import Writeback
from idp_plugin.writeback.channel import AgentEnd, GatewayEnd
from idp_plugin.writeback.https_channel import HttpsAgentEnd
from idp_plugin.writeback.identity import AgentIdentity, IdentityFile
from idp_plugin.writeback.joining import LIFE, Invitation, join
from idp_plugin.writeback.streams import StreamAgentEnd, StreamGatewayEnd
from store.database import Database
from store.expiring import Expiring
from store.vault import Vault

DIRECTORY = "corp"
REDELIVERY = dt.timedelta(seconds=0.3)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class ArrangedChannel:
    """One directory's channel: the gateway's end, and as many agents' ends as a test asks for."""

    gateway: GatewayEnd
    open_agent: Callable[[str], AgentEnd]
    agents: list[AgentEnd] = field(default_factory=list)

    def agent(self, name: str) -> AgentEnd:
        end = self.open_agent(name)
        self.agents.append(end)
        return end

    def close(self) -> None:
        for end in (*self.agents, self.gateway):
            end.close()


@contextlib.contextmanager
def over_streams(url: str) -> Iterator[ArrangedChannel]:
    arranged = ArrangedChannel(
        StreamGatewayEnd(url, DIRECTORY),
        lambda name: StreamAgentEnd(url, DIRECTORY, name, redelivery=REDELIVERY),
    )
    yield arranged
    arranged.close()


@dataclass
class Endpoint:
    """The gateway's endpoint on loopback, with a database and a key ring of its own."""

    folder: Path
    url: str
    writeback: Writeback
    database: Database
    now: Callable[[], dt.datetime] = utc_now

    def invitation(self, directory: str = DIRECTORY, life: dt.timedelta = LIFE) -> Invitation:
        secret = self.writeback.invite(directory, life, "tester")
        return Invitation.of(secret, self.writeback.signer.key)

    def join(self, name: str, invitation: Invitation | None = None) -> AgentIdentity:
        state = self.folder / name
        state.mkdir(exist_ok=True)
        return join(
            IdentityFile(state),
            invitation or self.invitation(),
            url=self.url,
            ca=None,
            name=name,
            directory=DIRECTORY,
            clock=utc_now,
        )

    def end(self, identity: AgentIdentity, clock: Callable[[], dt.datetime] = utc_now) -> HttpsAgentEnd:
        return HttpsAgentEnd(self.url, lambda: identity, clock=clock)


@contextlib.contextmanager
def endpoint(folder: Path, url: str, *, polls: int = 8) -> Iterator[Endpoint]:
    vault = Vault([secrets.token_bytes(32)])
    database = Database(f"sqlite:///{folder}/gateway.db", vault)
    database.upgrade()
    expiring = Expiring(url, vault)
    writeback = Writeback(
        (DIRECTORY,), database=database, url=url, vault=vault, clock=utc_now, redelivery=REDELIVERY
    )
    calls = Calls(writeback, lambda nonce, ttl: expiring.once("agent call", nonce, ttl=ttl), polls=polls)
    server = make_server("127.0.0.1", 0, create_endpoint("/sparekey", calls), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Endpoint(folder, f"http://127.0.0.1:{server.port}/sparekey", writeback, database)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        writeback.close()
        expiring.close()
        database.dispose()


@contextlib.contextmanager
def over_https(folder: Path, url: str) -> Iterator[ArrangedChannel]:
    with endpoint(folder, url) as served:
        arranged = ArrangedChannel(
            StreamGatewayEnd(url, DIRECTORY), lambda name: served.end(served.join(name))
        )
        yield arranged
        arranged.close()
