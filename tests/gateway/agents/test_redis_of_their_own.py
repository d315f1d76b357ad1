"""`redis.agents_url`: agents that connect to a Redis which is not the one that sign-ins need."""

import base64
import datetime as dt
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.agents.opening import open_writeback
from gateway.agents.writeback import Writeback
from gateway.settings import Settings, load
from idp_plugin.base import Subject
from idp_plugin.errors import IdpUnavailable, OutcomeUnknown
from idp_plugin.writeback import beat
from idp_plugin.writeback.agent import Agent
from idp_plugin.writeback.agent_directory import AgentDirectory
from idp_plugin.writeback.beat import Health
from idp_plugin.writeback.boundary import Boundary
from idp_plugin.writeback.channel import ChannelDown
from idp_plugin.writeback.identity import IdentityFile, new_identity
from idp_plugin.writeback.keys import public_key, public_text
from idp_plugin.writeback.order_log import OrderLog
from idp_plugin.writeback.record import Record
from idp_plugin.writeback.roster import Status
from idp_plugin.writeback.streams import StreamAgentEnd
from store.expiring import Expiring
from store.vault import Vault
from tests.idp_plugin.writeback.arranged import DIRECTORY, ISSUER, UNLIMITED, adapter, utc_now
from tests.servers.redis_over_tls import RedisOverTls
from tests.servers.slapd import Slapd
from tests.servers.valkey import Valkey

NEW, NEWER = "Quite-New-Passw0rd", "Quite-Newer-Passw0rd"
SETTINGS = """\
[gateway]
public = "https://sso.example.org"
listen = "127.0.0.1:1"
[idp]
address = "http://127.0.0.1:1"
issuer = "{issuer}"
client_secret = "secret"
[[directories]]
name = "{directory}"
agent = true
[database]
url = "sqlite:///{folder}/sparekey.db"
[redis]
url = "{own}"
agents_url = "{theirs}"
[vault]
keys = ["{key}"]
[policies]
file = "{folder}/policies.toml"
[messages]
default_region = "US"
"""


@dataclass
class World:
    folder: Path
    redis: RedisOverTls
    valkey: Valkey
    slapd: Slapd
    settings: Settings
    writeback: Writeback
    stop: threading.Event = field(default_factory=threading.Event)
    closing: list[Callable[[], object]] = field(default_factory=list)

    @property
    def alice(self) -> Subject:
        person = adapter(self.slapd).find("alice")
        assert person
        return Subject(DIRECTORY, person.account.id)

    def agent(self, url: str, *, authority: Path | None = None) -> Callable[[], None]:
        """Let an agent join and work at this address; return what sends its heartbeat."""
        state = self.folder / f"agent-{len(self.closing)}"
        state.mkdir(mode=0o700)
        fresh = new_identity(DIRECTORY, utc_now())
        secret = self.writeback.invite(DIRECTORY, dt.timedelta(hours=1), "tester")
        with self.writeback.database.transaction() as transaction:
            joined = transaction.agents.accept(
                secret, name="one", signing=public_text(fresh.signing), now=utc_now()
            )
        assert joined
        gateway = public_key(public_text(self.writeback.signer.key), "Ed25519")
        file, record = IdentityFile(state), Record(state / "orders.sqlite")
        file.write(replace(fresh, id=joined.id, gateway=gateway))
        end = StreamAgentEnd(
            url, DIRECTORY, joined.id, ca=str(authority or self.redis.certificates.authority)
        )
        agent = Agent(
            file=file,
            channel=end,
            directory=AgentDirectory([adapter(self.slapd)], name=DIRECTORY, source=ISSUER),
            record=record,
            boundary=Boundary(
                target=DIRECTORY, limits=UNLIMITED, record=record, stop_file=state / "stop", clock=utc_now
            ),
            order_log=OrderLog(state / "orders.log", utc_now),
            clock=utc_now,
        )
        thread = threading.Thread(target=self._work, args=(agent,))
        thread.start()
        self.closing += [record.close, end.close, thread.join]
        return lambda: end.beat(beat.make(agent.identity, Health(), utc_now()))

    def _work(self, agent: Agent) -> None:
        while not self.stop.is_set():
            try:
                agent.step(dt.timedelta(seconds=0.2))
            except ChannelDown:
                self.stop.wait(0.1)

    def statuses(self) -> list[Status]:
        return [each.status for each in self.writeback.agents()[DIRECTORY]]

    def close(self) -> None:
        self.stop.set()
        for close in reversed(self.closing):
            close()
        self.writeback.close()
        self.writeback.database.dispose()


def settings_for(folder: Path, own: Valkey, theirs: str) -> Settings:
    (folder / "policies.toml").touch()
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    facts = {"issuer": ISSUER, "directory": DIRECTORY, "folder": folder, "own": own.url}
    file = folder / "sparekey.toml"
    file.write_text(SETTINGS.format(**facts, theirs=theirs, key=key))
    return load(file)


@pytest.fixture
def world(tmp_path: Path, redis_over_tls: RedisOverTls, valkey: Valkey, slapd: Slapd) -> Iterator[World]:
    settings = settings_for(tmp_path, valkey, redis_over_tls.gateway_url)
    writeback = open_writeback(settings, url=valkey.url)
    writeback.database.upgrade()
    world = World(tmp_path, redis_over_tls, valkey, slapd, settings, writeback)
    yield world
    world.close()


def eventually(do: Callable[[], object]) -> None:
    """Do something as soon as the channel answers."""
    end = time.monotonic() + 30
    while True:
        try:
            do()
        except (ChannelDown, IdpUnavailable):
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return


def test_a_password_is_written_and_the_gateways_own_redis_never_sees_it(world: World) -> None:
    beats = world.agent(world.redis.add_agent("agent-1", DIRECTORY, "of-agent-1-alone"))
    beats()
    assert world.statuses() == [Status.RUNNING]
    world.writeback.remote(DIRECTORY, ISSUER).set_password(world.alice, NEW)
    assert world.slapd.accepts("alice", NEW)
    assert world.valkey.client.keys("*writeback*") == []
    with world.redis.administrator() as client:
        assert client.keys("*writeback*")


def test_an_agent_with_another_directorys_user_or_a_wrong_password_gets_nowhere(world: World) -> None:
    world.redis.add_agent("agent-1", DIRECTORY, "of-agent-1-alone")
    for url in (
        world.redis.add_agent("agent-2", "another", "of-agent-2-alone"),
        world.redis.url("agent-1", "guessed"),
        world.redis.url("default", ""),
    ):
        beats = world.agent(url)
        with pytest.raises(ChannelDown):
            beats()
    assert set(world.statuses()) == {Status.NOT_CONNECTED}
    with pytest.raises(IdpUnavailable):
        world.writeback.remote(DIRECTORY, ISSUER).set_password(world.alice, NEW)
    assert world.slapd.accepts("alice", "Alice-Passw0rd")


def test_an_agent_speaks_to_the_redis_of_its_own_authority_alone(world: World, slapd: Slapd) -> None:
    url = world.redis.add_agent("agent-1", DIRECTORY, "of-agent-1-alone")
    beats = world.agent(url, authority=slapd.certificates.authority)
    with pytest.raises(ChannelDown):
        beats()


def test_a_gateway_whose_user_is_refused_says_that_the_channel_is_down(
    tmp_path: Path, redis_over_tls: RedisOverTls, valkey: Valkey
) -> None:
    wrong = f"{redis_over_tls.url('gateway', 'guessed')}?ssl_ca_certs={redis_over_tls.certificates.authority}"
    settings = settings_for(tmp_path, valkey, wrong)
    writeback = open_writeback(settings, url=valkey.url)
    writeback.database.upgrade()
    secret = writeback.invite(DIRECTORY, dt.timedelta(hours=1), "tester")
    signing = public_text(new_identity(DIRECTORY, utc_now()).signing)
    with writeback.database.transaction() as transaction:
        transaction.agents.accept(secret, name="one", signing=signing, now=utc_now())
    assert [each.status for each in writeback.agents()[DIRECTORY]] == [Status.CHANNEL_DOWN]
    assert writeback.is_down()
    writeback.close()
    writeback.database.dispose()


def test_it_may_be_restarted_between_two_writes(world: World) -> None:
    beats = world.agent(world.redis.add_agent("agent-1", DIRECTORY, "of-agent-1-alone"))
    beats()
    remote = world.writeback.remote(DIRECTORY, ISSUER)
    remote.set_password(world.alice, NEW)
    world.redis.restart()
    # Every kept connection is broken; nothing has to be started anew.
    eventually(beats)
    eventually(lambda: remote.set_password(world.alice, NEWER))
    assert world.slapd.accepts("alice", NEWER)


def test_an_agent_that_fills_it_stops_writeback_and_nothing_else(world: World) -> None:
    url = world.redis.add_agent("agent-1", DIRECTORY, "of-agent-1-alone")
    beats = world.agent(url)
    beats()
    with world.redis.administrator() as client:
        client.config_set("maxmemory", "8mb")
    turned = StreamAgentEnd(url, DIRECTORY, "turned", ca=str(world.redis.certificates.authority))
    # What is on its way counts too, so that the last gaps take little pieces.
    for size in (1 << 22, 1 << 16, 1 << 10, 1):
        with suppress(ChannelDown):
            while True:
                turned.beat(secrets.token_bytes(size))
                turned._agent = secrets.token_hex(8)
    with pytest.raises(IdpUnavailable) as refused:
        world.writeback.remote(DIRECTORY, ISSUER).set_password(world.alice, NEW)
    # It surely did not arrive, so nobody waits for what became of it.
    assert not isinstance(refused.value, OutcomeUnknown)
    own = Expiring(world.valkey.url, Vault([secrets.token_bytes(32)]))
    assert own.once("sign-in", "goes on", ttl=dt.timedelta(minutes=1))
    own.close()
    turned.close()
