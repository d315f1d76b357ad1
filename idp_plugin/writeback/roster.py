"""The agents of one directory as the gateway knows them: pinned keys, newest heartbeats, what they mean."""

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog
from joserfc.jwk import OKPKey

from idp_plugin.writeback import beat
from idp_plugin.writeback.beat import Beat
from idp_plugin.writeback.channel import ChannelDown, GatewayEnd, ReceivedBeat
from idp_plugin.writeback.keys import Untrusted, public_key, public_text
from idp_plugin.writeback.order import SKEW

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PinnedAgent:
    """An agent that joined."""

    id: str
    name: str
    """What its operator calls it."""
    directory: str
    signing: str
    """Its public key, as `keys.public_text`."""
    generation: int
    """The newest of its sealing keys that was seen; an older one is refused."""


class Registry(Protocol):
    """Where the gateway keeps its agents."""

    def of(self, directory: str) -> tuple[PinnedAgent, ...]:
        """Return the agents of a directory that may work."""

    def adopt(self, agent: str, *, signing: str, generation: int) -> None:
        """Pin an agent's successor keys; an older generation changes nothing."""


class Status(enum.StrEnum):
    """How writeback stands at one agent. Source: the reference product's six states."""

    RUNNING = "running"
    OUTDATED = "outdated"
    """It works, and is older than the gateway."""
    TOO_OLD = "too_old"
    """It cannot be checked, because it speaks an older protocol."""
    NOT_CONNECTED = "not_connected"
    NOT_CONFIGURED = "not_configured"
    """It is connected and something at it is not right; the problems say what."""
    CHANNEL_DOWN = "channel_down"
    """The gateway's own channel does not answer; the agent may be well."""


@dataclass(frozen=True, slots=True)
class SeenAgent:
    """An agent as it stands now."""

    pinned: PinnedAgent
    status: Status
    problems: tuple[str, ...] = ()
    """Identifiers of what is wrong, `server:…` and `right:…` among them."""
    beat: Beat | None = None

    @property
    def takes_orders(self) -> bool:
        """Whether orders are sealed to it."""
        broken = {"stopped", "clock"} & set(self.problems)
        connected = self.status in {Status.RUNNING, Status.OUTDATED, Status.NOT_CONFIGURED}
        return connected and not broken


class Roster:
    """Reads registry and heartbeats. Thread-safe."""

    def __init__(
        self, directory: str, registry: Registry, channel: GatewayEnd, clock: Callable[[], dt.datetime]
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._channel = channel
        self._clock = clock
        self._version = beat.version()
        self._verified: dict[tuple[str, bytes], Beat] = {}

    def agents(self) -> tuple[SeenAgent, ...]:
        """Return every agent that joined, in the registry's order."""
        pinned = self._registry.of(self._directory)
        try:
            beats = self._channel.beats(each.id for each in pinned)
        except ChannelDown:
            return tuple(SeenAgent(each, Status.CHANNEL_DOWN) for each in pinned)
        self._keep_only(beats)
        return tuple(self._seen(each, beats.get(each.id)) for each in pinned)

    def working(self) -> Mapping[str, SeenAgent]:
        """Return those that take orders, by id."""
        return {each.pinned.id: each for each in self.agents() if each.takes_orders}

    def signing_key(self, agent: str) -> OKPKey | None:
        """Return the key that speaks for an agent now."""
        seen = next((each for each in self.agents() if each.pinned.id == agent), None)
        if seen is None:
            return None
        return seen.beat.signing if seen.beat else public_key(seen.pinned.signing, "Ed25519")

    def _seen(self, pinned: PinnedAgent, received: ReceivedBeat | None) -> SeenAgent:
        if received is None:
            return SeenAgent(pinned, Status.NOT_CONNECTED)
        try:
            found = self._verify(pinned, received.body)
        except Untrusted as untrusted:
            log.warning("beat_not_believed", agent=pinned.id, why=untrusted.why)
            return SeenAgent(pinned, Status.NOT_CONNECTED, ("not_believed",))
        if found.protocol != beat.PROTOCOL:
            return SeenAgent(pinned, Status.TOO_OLD, (), found)
        problems = _problems(found, self._clock() - received.age)
        if problems:
            return SeenAgent(pinned, Status.NOT_CONFIGURED, problems, found)
        status = Status.RUNNING if found.version == self._version else Status.OUTDATED
        return SeenAgent(pinned, status, (), found)

    def _verify(self, pinned: PinnedAgent, body: bytes) -> Beat:
        known = self._verified.get((pinned.id, body))
        if known is not None:
            return known
        key = public_key(pinned.signing, "Ed25519")
        found = beat.read(body, agent=pinned.id, directory=self._directory, pinned=key)
        # Security: an old heartbeat must not bring back a key that was rolled (S20).
        if found.generation < pinned.generation:
            raise Untrusted("generation")
        if found.generation > pinned.generation or public_text(found.signing) != pinned.signing:
            self._registry.adopt(pinned.id, signing=public_text(found.signing), generation=found.generation)
        self._verified[pinned.id, body] = found
        return found

    def _keep_only(self, beats: Mapping[str, ReceivedBeat]) -> None:
        current = {(agent, received.body) for agent, received in beats.items()}
        self._verified = {key: found for key, found in self._verified.items() if key in current}


def _problems(found: Beat, arrived: dt.datetime) -> tuple[str, ...]:
    health = found.health
    problems = [f"server:{name}" for name, reached in health.servers.items() if not reached]
    problems += [f"right:{right}" for right in health.missing_rights]
    if health.canary == "fails":
        problems.append("canary")
    if health.stopped:
        problems.append("stopped")
    if abs(found.at - arrived) > SKEW:
        problems.append("clock")
    return tuple(problems)
