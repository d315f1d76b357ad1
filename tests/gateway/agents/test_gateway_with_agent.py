"""A gateway with its own Valkey and an agent that reaches it over HTTP alone, each a program of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.providers import open_provider
from gateway.settings import Settings, load
from idp_plugin.base import PasswordState
from idp_plugin.demo import servers
from idp_plugin.demo.servers import RunningDemo
from idp_plugin.ldap.openldap import OpenLdap
from tests.servers.processes import answers, free_port, running
from tests.servers.settings_file import before_demo, write_settings, write_toml

PROGRAM = Path(sys.executable).with_name("sparekey")
NEW = "Quite-New-Passw0rd"
POLICY = """\
[[rules]]
name = "Everybody"
register = 1
reset = 1
[rules.who]
everyone = true
"""


@dataclass
class World:
    folder: Path
    port: int
    around: RunningDemo

    @property
    def settings(self) -> Settings:
        return load(self.folder / "sparekey.toml")

    def sparekey(self, *words: str) -> subprocess.CompletedProcess[str]:
        file = "agent.toml" if words[0] == "agent" else "sparekey.toml"
        place = 1 if words[0] == "agent" else len(words)
        command = [*words[:place], "--settings", str(self.folder / file), *words[place:]]
        return subprocess.run([str(PROGRAM), *command], capture_output=True, text=True, check=False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    port, application, folder = free_port(), free_port(), tmp_path
    addresses = servers.DemoAddresses(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{application}")
    private = folder / "demo"
    private.mkdir(mode=0o700)
    with servers.start_at(addresses, private, application) as around:
        public = addresses.public
        file = write_settings(
            folder,
            POLICY,
            gateway={"public": public, "listen": f"127.0.0.1:{port}", "operations": ""},
            idp=before_demo(around, public),
            directories=[{"name": "corp", "agent": True}],
            messages={"default_region": "US"},
            demo={"outbox": str(folder / "outbox")},
        )
        directory = around.directory
        write_toml(
            folder / "agent.toml",
            {
                "state": str(folder / "agent"),
                "channel": {"kind": "https", "url": f"{public}/sparekey"},
                "directory": {
                    "name": "corp",
                    "servers": [directory.servers[0]],
                    "ca": str(directory.ca),
                    "bind_dn": directory.bind_dn,
                    "bind_password": directory.bind_password.get_secret_value(),
                    "base": directory.base,
                },
            },
        )
        command = [PROGRAM, "serve", "--settings", file]
        with running(command, log=folder / "serve.log", ready=lambda: answers(port), seconds=60):
            yield World(folder, port, around)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_from_the_invitation_to_a_password_in_the_directory(world: World) -> None:
    reset = f"http://127.0.0.1:{world.port}/sparekey/reset"
    # An outage of everything is said at the start, whoever asks.
    assert httpx.get(reset).status_code == 503
    token = world.sparekey("agents", "invite", "corp").stdout.strip()
    joined = world.sparekey("agent", "join", token, "--name", "One")
    assert joined.returncode == 0, joined.stderr
    command = [PROGRAM, "agent", "--settings", world.folder / "agent.toml"]

    def ready() -> bool:
        return httpx.get(reset).status_code == 200

    with running(command, log=world.folder / "agent.log", ready=ready, seconds=60):
        told = json.loads(world.sparekey("agents", "status", "--json").stdout)
        assert [(each["name"], each["status"], each["problems"]) for each in told] == [("One", "running", [])]
        checked = world.sparekey("check", "--network")
        assert "ok       agent One of corp" in checked.stdout
        provider = open_provider(world.settings)
        alice = provider.directory.find("alice")
        assert alice is not None
        assert alice.account.source == "corp"
        provider.writer.set_password(alice.account, NEW)
        provider.close()
        own = OpenLdap(world.around.directory.model_copy(update={"name": "corp"}), "")
        assert own.verify_password(alice.account, NEW) is PasswordState.USABLE
        assert world.sparekey("agents", "revoke", told[0]["agent"]).returncode == 0
        wait_until(lambda: httpx.get(reset).status_code == 503)
    logs = "".join((world.folder / name).read_text() for name in ("serve.log", "agent.log"))
    assert NEW not in logs
    assert token.split(".")[0] not in logs
