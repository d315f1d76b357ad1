"""The agent as a running process: workers, heartbeats, canary, keys that roll; all from its settings."""

import contextlib
import datetime as dt
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from idp_plugin.errors import IdpError
from idp_plugin.ldap.adapters import open_adapter
from idp_plugin.writeback import beat
from idp_plugin.writeback.agent import Agent
from idp_plugin.writeback.agent_directory import AgentDirectory, Dialect
from idp_plugin.writeback.beat import Health
from idp_plugin.writeback.boundary import Boundary
from idp_plugin.writeback.channel import AgentEnd, ChannelDown, NotAccepted
from idp_plugin.writeback.https_channel import HttpsAgentEnd
from idp_plugin.writeback.identity import IdentityFile, only_one
from idp_plugin.writeback.order_log import STARTED, STOPPED, OrderLog
from idp_plugin.writeback.record import Record
from idp_plugin.writeback.rights import missing_rights, reachable
from idp_plugin.writeback.settings import AgentSettings
from idp_plugin.writeback.streams import StreamAgentEnd

SOURCE = "agent"
"""`Identity.subject.source` here; only the gateway knows who somebody is to relying parties."""
STOP_FILE = "stop"
ROLL_FILE = "roll"
_WAIT = dt.timedelta(seconds=20)
_TICK_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_REFUSED_SECONDS = 15.0
log = structlog.get_logger(__name__)


def utc_now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a running agent is made of."""

    agent: Agent
    channel: AgentEnd
    boundary: Boundary
    directory: AgentDirectory
    dialects: tuple[Dialect, ...]
    order_log: OrderLog


@contextlib.contextmanager
def opened(settings: AgentSettings, clock: Callable[[], dt.datetime] = utc_now) -> Iterator["AgentProcess"]:
    """Open an agent that has joined, and close it at the end.

    Raises:
        IdpMisconfigured: It has not joined, runs already, or its directory's settings are wrong.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_one(settings.state))
        file = IdentityFile(settings.state)
        identity = file.read()
        order_log = OrderLog(settings.state / "orders.log", clock)
        record = Record(settings.state / "orders.sqlite")
        stack.callback(record.close)
        dialects = open_dialects(settings)
        directory = AgentDirectory(dialects, name=settings.directory.name, source=SOURCE)
        boundary = Boundary(
            target=settings.directory.name,
            limits=settings.limits,
            record=record,
            stop_file=settings.state / STOP_FILE,
            clock=clock,
        )
        agents: list[Agent] = []
        channel = _channel(settings, identity.id, agents, clock)
        stack.callback(channel.close)
        agents.append(
            Agent(
                file=file,
                channel=channel,
                directory=directory,
                record=record,
                boundary=boundary,
                order_log=order_log,
                clock=clock,
            )
        )
        parts = _Parts(agents[0], channel, boundary, directory, dialects, order_log)
        yield AgentProcess(settings, parts, clock)


def open_dialects(settings: AgentSettings) -> tuple[Dialect, ...]:
    """Return one adapter per subtree."""
    subtrees = settings.subtrees or (settings.directory.base,)
    return tuple(
        open_adapter(settings.directory.model_copy(update={"base": subtree}), SOURCE) for subtree in subtrees
    )


def _channel(
    settings: AgentSettings, agent: str, agents: list[Agent], clock: Callable[[], dt.datetime]
) -> AgentEnd:
    channel = settings.channel
    if channel.kind == "https":
        # Calls are signed with the key of the moment, which rolls.
        return HttpsAgentEnd(channel.url, lambda: agents[0].identity, clock=clock, ca=channel.ca)
    return StreamAgentEnd(channel.url, settings.directory.name, agent, ca=str(channel.ca or ""))


class AgentProcess:
    """Runs until it is told to stop."""

    def __init__(self, settings: AgentSettings, parts: _Parts, clock: Callable[[], dt.datetime]) -> None:
        self._settings = settings
        self._parts = parts
        self._clock = clock
        self._canary = Canary(settings, parts.directory, clock)
        self._health = Health()

    def run(self, stop: threading.Event) -> None:
        """Work on orders and send heartbeats; returns once `stop` is set and what was begun is done."""
        self._parts.order_log.write("started", code=STARTED, version=beat.version())
        workers = [
            threading.Thread(target=self._work, args=(stop,), name=f"orders-{number}")
            for number in range(self._settings.threads)
        ]
        for worker in workers:
            worker.start()
        try:
            self._beat_until(stop)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
            self._parts.order_log.write("stopped", code=STOPPED)

    def beat(self) -> None:
        """Look after keys and health, and send one heartbeat.

        Raises:
            ChannelDown: It was not sent.
        """
        parts, settings = self._parts, self._settings
        parts.agent.tidy()
        if parts.agent.identity.sealing[0].made_at + dt.timedelta(days=settings.roll_days) <= self._clock():
            parts.agent.roll()
        if not parts.boundary.is_stopped:
            # The kill switch holds for the test account too.
            self._canary.sing_when_due()
        self._health = self._look()
        parts.channel.beat(beat.make(parts.agent.identity, self._health, self._clock()))

    def _look(self) -> Health:
        settings = self._settings
        canary = self._canary
        try:
            lacking = missing_rights(self._parts.dialects, settings.canary.name, settings.directory.name)
        except IdpError:
            # Whatever does not answer is told by the servers below.
            lacking = ()
        return Health(
            servers=reachable(settings.directory, lambda changed: open_adapter(changed, SOURCE)),
            missing_rights=lacking,
            canary=canary.verdict,
            canary_at=canary.tried_at.isoformat() if canary.tried_at else "",
            stopped=self._parts.boundary.is_stopped,
        )

    def _beat_until(self, stop: threading.Event) -> None:
        due, was_stopped = 0.0, self._parts.boundary.is_stopped
        while not stop.is_set():
            is_stopped = self._parts.boundary.is_stopped
            if time.monotonic() >= due or self._rolled_on_demand() or is_stopped != was_stopped:
                due, was_stopped = time.monotonic() + beat.EVERY.total_seconds(), is_stopped
                self._try_to_beat()
            stop.wait(_TICK_SECONDS)

    def _try_to_beat(self) -> None:
        try:
            self.beat()
        except (ChannelDown, NotAccepted) as error:
            why = error.why if isinstance(error, NotAccepted) else "channel"
            log.warning("beat_failed", why=why)
            self._parts.order_log.write("beat_failed", code=32015, why=why)

    def _rolled_on_demand(self) -> bool:
        file = self._settings.state / ROLL_FILE
        try:
            asked = file.read_text("utf-8")
        except FileNotFoundError:
            return False
        file.unlink()
        self._parts.agent.roll(signing_too="signing" in asked)
        return True

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._parts.boundary.is_stopped:
                stop.wait(_TICK_SECONDS)
                continue
            try:
                self._parts.agent.step(min(_WAIT, dt.timedelta(seconds=2)))
            except ChannelDown:
                stop.wait(_PAUSE_SECONDS)
            except NotAccepted as error:
                log.error("not_accepted", why=error.why)  # noqa: TRY400 - it is no fault of ours
                stop.wait(_REFUSED_SECONDS)
            except Exception as error:  # noqa: BLE001 - a worker that ended would leave an agent that beats
                # Security: one delivery, or a full disk for a moment, must not end the work; no traceback,
                # whose lines could quote a password.
                log.error("worker_fault", cause=type(error).__name__)  # noqa: TRY400
                stop.wait(_PAUSE_SECONDS)


class Canary:
    """A test account whose password is reset on schedule and then tried by a bind."""

    def __init__(
        self, settings: AgentSettings, directory: AgentDirectory, clock: Callable[[], dt.datetime]
    ) -> None:
        self._name = settings.canary.name
        self._every = dt.timedelta(minutes=settings.canary.minutes)
        self._directory = directory
        self._clock = clock
        self.verdict = ""
        self.tried_at: dt.datetime | None = None

    def sing_when_due(self) -> None:
        """Reset the test account's password, if it is time to."""
        now = self._clock()
        if not self._name or (self.tried_at is not None and self.tried_at + self._every > now):
            return
        self.tried_at = now
        try:
            self.verdict = "works" if self._sing() else "fails"
        except IdpError as error:
            log.warning("canary_failed", cause=type(error).__name__)
            self.verdict = "fails"

    def _sing(self) -> bool:
        person = self._directory.find(self._name)
        if person is None:
            return False
        # Security: nobody knows it, and nobody keeps it.
        letters = string.ascii_letters + string.digits
        password = "Aa1-" + "".join(secrets.choice(letters) for _ in range(28))
        self._directory.set_password(person.account.id, password)
        return self._directory.opens(person.account.id, password)
