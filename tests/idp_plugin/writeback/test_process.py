"""The agent as its operator runs it, `sparekey agent`, and what it tells its gateway."""

import contextlib
import datetime as dt
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.writeback.channel import BEAT_LIFE
from idp_plugin.writeback.identity import IdentityFile, new_identity
from idp_plugin.writeback.keys import public_key, public_text
from idp_plugin.writeback.process import AgentProcess, opened
from idp_plugin.writeback.roster import PinnedAgent, SeenAgent
from idp_plugin.writeback.settings import AgentSettings, load
from tests.idp_plugin.writeback.arranged import (
    DIRECTORY,
    Office,
    adapter,
    agent_toml,
    over_streams,
    utc_now,
)
from tests.servers.processes import running
from tests.servers.slapd import GROUPS, PEOPLE, Slapd
from tests.servers.valkey import Valkey

PROGRAM = Path(sys.executable).with_name("sparekey")
NEW = "Quite-New-Passw0rd"


@pytest.fixture
def office(tmp_path: Path, valkey: Valkey) -> Iterator[Office]:
    with over_streams(tmp_path, valkey.url) as office:
        yield office


def joined(office: Office, slapd: Slapd, valkey: Valkey, more: str = "") -> Path:
    """Return the settings file of an agent that has joined."""
    file = agent_toml(office.folder, slapd, valkey.url, more=more)
    state = office.folder / "state"
    state.mkdir(mode=0o700)
    public = public_key(public_text(office.key), "Ed25519")
    identity = replace(new_identity(DIRECTORY, utc_now()), id="agent-1", gateway=public)
    IdentityFile(state).write(identity)
    office.registry.agents["agent-1"] = PinnedAgent(
        "agent-1", "One", DIRECTORY, public_text(identity.signing), 1
    )
    return file


@contextlib.contextmanager
def beating(settings: AgentSettings) -> Iterator[AgentProcess]:
    with opened(settings) as process:
        process.beat()
        yield process


def seen(office: Office) -> SeenAgent:
    (agent,) = office.roster.agents()
    return agent


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def sparekey(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_reset_through_the_running_program(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    file = joined(office, slapd, valkey)
    account = adapter(slapd).find("alice").account
    log, settings = office.folder / "agent.log", ("--settings", file)
    with running([PROGRAM, "agent", *settings], log=log, ready=lambda: seen(office).takes_orders, seconds=30):
        office.remote().set_password(account, NEW)
        assert slapd.accepts("alice", NEW)
        generation = seen(office).pinned.generation
        assert sparekey("agent", *settings, "roll", "--signing").returncode == 0
        wait_until(lambda: seen(office).pinned.generation > generation)
        office.remote().set_password(account, f"{NEW}-2")
        assert sparekey("agent", *settings, "stop").returncode == 0
        wait_until(lambda: "stopped" in seen(office).problems)
        assert not office.remote().is_reachable()
        assert sparekey("agent", *settings, "resume").returncode == 0
        wait_until(lambda: seen(office).takes_orders)
        refused = sparekey("agent", *settings)
        assert (refused.returncode, "another agent runs here" in refused.stderr) == (1, True)
    events = [json.loads(line) for line in (office.folder / "state/orders.log").read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "order", "keys_rolled", "order", "stopped"]
    assert NEW not in log.read_text()


def test_a_heartbeat_says_what_is_well(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    file = joined(office, slapd, valkey, '\n[canary]\nname = "grace"\n')
    with beating(load(file)):
        agent = seen(office)
    assert (agent.status.value, agent.problems) == ("running", ())
    assert agent.beat is not None
    assert agent.beat.health.servers == {slapd.address: True}
    assert agent.beat.health.canary == "works"
    assert not slapd.accepts("grace", "Grace-Passw0rd")


def test_a_heartbeat_says_what_is_not(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    # The canary is in a protected group, so that it is never written to.
    file = joined(office, slapd, valkey, '\n[canary]\nname = "erin"\n')
    with beating(load(file)) as process:
        assert seen(office).problems == ("canary",)
        slapd.stop()
        process.beat()
        assert seen(office).problems == (f"server:{slapd.address}", "canary")


def test_a_right_that_was_taken_away_is_told(
    office: Office, slapd: Slapd, valkey: Valkey, tmp_path: Path
) -> None:
    configuration = slapd.folder / "slapd.conf"
    without = configuration.read_text().replace("attrs=pwdAccountLockedTime,pwdReset", "attrs=pwdReset")
    configuration.write_text(without)
    slapd.restart()
    file = joined(office, slapd, valkey, '\n[canary]\nname = "grace"\n')
    with beating(load(file)):
        assert seen(office).problems == ("right:end_lock",)
    told = sparekey("agent", "--settings", file, "--test-rights", "grace")
    assert told.returncode == 1
    assert "PROBLEM  not so: the service account may end a lock. Give it " in told.stdout
    assert "pwdAccountLockedTime of people: see deploy/openldap.md" in told.stdout
    assert "ok       the service account may set the password" in told.stdout


def test_rights_are_told_without_writing_anything(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    file = joined(office, slapd, valkey)
    before = slapd.read(slapd.people["alice"].dn)
    told = sparekey("agent", "--settings", file, "--test-rights", "alice")
    assert told.returncode == 0, told.stdout
    assert told.stdout.splitlines() == [
        f"ok       {slapd.address}: answers, is verified, and accepts the service account",
        f"ok       alice is one person below {PEOPLE}",
        "ok       the service account may set the password",
        "ok       the service account may end a lock",
        "ok       the service account may order a change at the next sign-in, for temporary passwords",
        "ok       the service account may read whether the account is locked, closed or expired",
        "ok       the service account may write nothing else",
    ]
    assert slapd.read(slapd.people["alice"].dn) == before


def test_people_who_are_never_written_to_are_told_of(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    file = joined(office, slapd, valkey)
    protected = sparekey("agent", "--settings", file, "--test-rights", "erin")
    assert (protected.returncode, "never written to" in protected.stdout) == (1, True)
    nobody = sparekey("agent", "--settings", file, "--test-rights", "nobody")
    assert (nobody.returncode, "nobody is nobody" in nobody.stdout) == (1, True)
    assert f"cn=administrators,{GROUPS}" in file.read_text()


def test_an_agent_that_is_silent_is_not_connected(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    with beating(load(joined(office, slapd, valkey))):
        assert seen(office).status.value == "running"
    (name,) = valkey.client.keys("*beat*")
    assert 0 < valkey.client.pttl(name) <= BEAT_LIFE / dt.timedelta(milliseconds=1)
    valkey.client.delete(name)
    assert (seen(office).status.value, seen(office).takes_orders) == ("not_connected", False)


def test_keys_roll_when_they_are_old(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    settings = load(joined(office, slapd, valkey))
    later = dt.timedelta(days=settings.roll_days)
    with opened(settings, clock=lambda: utc_now() + later) as process:
        process.beat()
    assert IdentityFile(settings.state).read().generation == 2


def test_an_agent_stops_in_the_middle_of_nothing(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    stop = threading.Event()
    with opened(load(joined(office, slapd, valkey))) as process:
        thread = threading.Thread(target=process.run, args=(stop,))
        thread.start()
        wait_until(lambda: seen(office).takes_orders)
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def test_settings_that_would_leave_the_channel_open_are_refused(tmp_path: Path, slapd: Slapd) -> None:
    for kind, url in (
        ("https", "http://sso.example.org/sparekey"),
        ("redis", "redis://redis.example.org"),
        ("redis", "https://sso.example.org"),
        ("https", "rediss://redis.example.org"),
    ):
        with pytest.raises(IdpMisconfigured, match="channel"):
            load(agent_toml(tmp_path, slapd, url, kind=kind))
    with pytest.raises(IdpMisconfigured, match="subtrees"):
        load(agent_toml(tmp_path, slapd, "rediss://r.example.org", more='subtrees = [" "]'))
    with (
        pytest.raises(IdpMisconfigured, match="has not joined"),
        opened(load(agent_toml(tmp_path, slapd, "rediss://r.example.org"))),
    ):
        pass
