"""Every directory behind agents, wired: registry in SQL, channel in Redis, signing key from the key ring."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from idp_plugin.writeback.channel import REDELIVERY, AgentEnd
from idp_plugin.writeback.guarded_streams import GuardedAgentEnd
from idp_plugin.writeback.keys import signing_key_from, succession
from idp_plugin.writeback.remote import RemoteDirectory, Signer
from idp_plugin.writeback.roster import PinnedAgent, Roster, SeenAgent
from idp_plugin.writeback.streams import StreamGatewayEnd
from store.audit import AuditAction
from store.database import Database
from store.vault import Vault

_PURPOSE = "writeback orders"


class StoredRegistry:
    """A `Registry` in the database."""

    def __init__(self, database: Database, clock: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._clock = clock

    def of(self, directory: str) -> tuple[PinnedAgent, ...]:
        """Return the directory's agents."""
        with self._database.reading() as transaction:
            joined = transaction.agents.of(directory)
        return tuple(
            PinnedAgent(each.id, each.name, each.directory, each.signing, each.generation) for each in joined
        )

    def adopt(self, agent: str, *, signing: str, generation: int) -> None:
        """Pin successor keys, and record it."""
        with self._database.transaction() as transaction:
            if transaction.agents.adopt(agent, signing=signing, generation=generation):
                transaction.audit.record(
                    AuditAction.AGENT_KEYS_ADOPTED,
                    now=self._clock(),
                    detail={"agent": agent, "generation": generation},
                )


def signer_from(vault: Vault) -> Signer:
    """Return the gateway's voice; after a rotation the older keys of the ring speak for it."""
    newest_first = [signing_key_from(seed) for seed in vault.verifying_keys(_PURPOSE)]
    pairs = zip(newest_first[:0:-1], newest_first[-2::-1], strict=True)
    return Signer(newest_first[0], tuple(succession(old, new) for old, new in pairs))


@dataclass(slots=True)
class _Desk:
    """What one directory needs."""

    end: StreamGatewayEnd
    roster: Roster


class Writeback:
    """The directories behind agents. Thread-safe once built."""

    def __init__(
        self,
        directories: tuple[str, ...],
        *,
        database: Database,
        url: str,
        vault: Vault,
        clock: Callable[[], dt.datetime],
        redelivery: dt.timedelta = REDELIVERY,
    ) -> None:
        """Take the parts; nothing is asked yet.

        Args:
            directories: Names of those behind agents.
            url: Of the Redis or Valkey that agents reach, directly or through our endpoint.
            redelivery: See `channel.REDELIVERY`; of agents that call our endpoint.
        """
        self._redelivery = redelivery
        self.database = database
        self.clock = clock
        self.registry = StoredRegistry(database, clock)
        self.signer = signer_from(vault)
        self._url = url
        self._desks = {name: self._desk(name) for name in directories}
        self._agent_ends: dict[tuple[str, str], GuardedAgentEnd] = {}

    @property
    def directories(self) -> tuple[str, ...]:
        """The names, in the order of the settings."""
        return tuple(self._desks)

    def remote(self, directory: str, subject_source: str) -> RemoteDirectory:
        """Return the adapter of a directory behind agents."""
        desk = self._desks[directory]
        return RemoteDirectory(
            directory,
            subject_source,
            channel=desk.end,
            roster=desk.roster,
            signer=lambda: self.signer,
            clock=self.clock,
        )

    def agents(self) -> Mapping[str, tuple[SeenAgent, ...]]:
        """Return every agent as it stands now, by directory."""
        return {name: desk.roster.agents() for name, desk in self._desks.items()}

    def is_down(self) -> bool:
        """Tell whether there are directories behind agents, and none of them can be reached."""
        return bool(self._desks) and not any(desk.roster.working() for desk in self._desks.values())

    def agent_end(self, directory: str, agent: str) -> AgentEnd:
        """Return the streams as an agent sees them, for one that reaches them through our endpoint."""
        known = self._agent_ends.get((directory, agent))
        if known is None:
            known = GuardedAgentEnd(self._url, directory, agent, redelivery=self._redelivery)
            self._agent_ends[directory, agent] = known
        return known

    def invite(self, directory: str, life: dt.timedelta, author: str) -> str:
        """Return the secret of a fresh invitation."""
        now = self.clock()
        with self.database.transaction() as transaction:
            secret = transaction.agents.invite(directory, now=now, life=life)
            transaction.audit.record(
                AuditAction.AGENT_INVITED, now=now, detail={"directory": directory, "author": author}
            )
        return secret

    def revoke(self, agent: str, author: str) -> bool:
        """Let an agent work no more; False where there is none."""
        now = self.clock()
        with self.database.transaction() as transaction:
            revoked = transaction.agents.revoke(agent, now)
            if revoked:
                transaction.audit.record(
                    AuditAction.AGENT_REVOKED, now=now, detail={"agent": agent, "author": author}
                )
        return revoked

    def close(self) -> None:
        """Close connections."""
        for desk in self._desks.values():
            desk.end.close()
        for end in self._agent_ends.values():
            end.close()

    def _desk(self, name: str) -> _Desk:
        end = StreamGatewayEnd(self._url, name)
        return _Desk(end, Roster(name, self.registry, end, self.clock))
