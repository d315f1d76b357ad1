"""What is killed and paused while people reset: agents in processes of their own, Valkey, slapd."""

import contextlib
import datetime as dt
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis

from idp_plugin.writeback.identity import IdentityFile, new_identity
from idp_plugin.writeback.keys import new_signing_key, public_key, public_text
from idp_plugin.writeback.remote import RemoteDirectory, Signer
from idp_plugin.writeback.roster import PinnedAgent, Roster
from idp_plugin.writeback.streams import StreamGatewayEnd
from tests.idp_plugin.writeback.arranged import DIRECTORY, ISSUER, MemoryRegistry, agent_toml, utc_now
from tests.servers.slapd import Slapd
from tests.servers.valkey import _program as valkey_program

PROGRAM = Path(sys.executable).with_name("sparekey")


@dataclass
class Killable:
    """A program that can be killed, paused and started again."""

    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)


@dataclass
class Chaos:
    """Everything, and the hand that breaks it."""

    slapd: Slapd
    agents: list[Killable]
    valkey: Killable
    url: str
    registry: MemoryRegistry
    random: random.Random
    remote: RemoteDirectory
    roster: Roster
    stop: threading.Event = field(default_factory=threading.Event)
    done: list[str] = field(default_factory=list)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def until_stopped(self) -> None:
        """Break one thing after the other, and mend each after a while."""
        while not self.stop.wait(self.random.uniform(0.05, 0.4)):
            name, damage, repair = self.random.choice(self._faults())
            self.done.append(name)
            damage()
            time.sleep(self.random.uniform(0.05, 0.8))
            repair()

    def _faults(self) -> list[tuple[str, Callable[[], None], Callable[[], None]]]:
        agent = self.random.choice(self.agents)
        return [
            ("agent killed", agent.kill, agent.start),
            ("agent paused", agent.pause, agent.go_on),
            ("valkey killed", self.valkey.kill, self.valkey.start),
            ("valkey paused", self.valkey.pause, self.valkey.go_on),
            ("slapd killed", self._kill_slapd, self.slapd.restart),
            ("slapd paused", self.slapd.freeze, self.slapd.thaw),
        ]

    def _kill_slapd(self) -> None:
        process = self.slapd._process
        if process is not None:
            process.kill()
            process.wait()


@contextlib.contextmanager
def chaos(folder: Path, slapd: Slapd, seed: int, *, agents: int = 2, seconds: float = 3) -> Iterator[Chaos]:
    """Start everything; at the end everything that was paused goes on and is stopped."""
    socket = folder / "v.sock"
    url = f"unix://{socket}"
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--dir": str(folder),
        "--appendonly": "yes",
        "--save": "",
        "--maxmemory-policy": "noeviction",
    }
    command = [str(valkey_program()), *(word for option in options.items() for word in option)]
    valkey = Killable(command, folder / "valkey.log")
    key, registry, started = new_signing_key(), MemoryRegistry(), []
    for number in range(agents):
        home = folder / f"agent-{number}"
        (home / "state").mkdir(parents=True, mode=0o700)
        public = public_key(public_text(key), "Ed25519")
        identity = replace(new_identity(DIRECTORY, utc_now()), id=f"agent-{number}", gateway=public)
        IdentityFile(home / "state").write(identity)
        registry.agents[identity.id] = PinnedAgent(
            identity.id, identity.id, DIRECTORY, public_text(identity.signing), 1
        )
        limits = "limits = { per_minute = 100000, per_day = 100000, per_person_and_day = 1000 }"
        file = agent_toml(home, slapd, url, more=limits)
        started.append(
            Killable([str(PROGRAM), "agent", "--settings", str(file)], folder / f"agent-{number}.log")
        )
    end = StreamGatewayEnd(url, DIRECTORY)
    roster = Roster(DIRECTORY, registry, end, utc_now)
    remote = RemoteDirectory(
        DIRECTORY,
        ISSUER,
        channel=end,
        roster=roster,
        signer=lambda: Signer(key),
        clock=utc_now,
        deadline=dt.timedelta(seconds=seconds),
    )
    everything = Chaos(slapd, started, valkey, url, registry, random.Random(seed), remote, roster)
    try:
        valkey.start()
        for agent in started:
            agent.start()
        yield everything
    finally:
        for program in (*started, valkey):
            program.go_on()
            program.kill()
        slapd.thaw()
        end.close()
