"""Writeback agents: the keys that were pinned when they joined, and the invitations to join."""

import datetime as dt
import hashlib
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update

from store.models import AgentInvitationRow, AgentRow


@dataclass(frozen=True, slots=True)
class JoinedAgent:
    """One agent that joined and was not revoked."""

    id: str
    name: str
    """What its operator calls it."""
    directory: str
    """The directory's name in the settings."""
    signing: str
    """Its public signing key of now, as text."""
    generation: int
    """The newest of its sealing keys that was seen."""
    joined_at: dt.datetime


class Agents:
    """Agents, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def invite(self, directory: str, *, now: dt.datetime, life: dt.timedelta) -> str:
        """Return a token that lets one agent join, once; only its digest is kept."""
        token = secrets.token_urlsafe(32)
        invitation = {"digest": _digest(token), "directory": directory, "expires_at": now + life}
        self._connection.execute(insert(AgentInvitationRow).values(**invitation))
        return token

    def is_invited(self, token: str, now: dt.datetime) -> bool:
        """Tell whether a token lets somebody join now; changes nothing."""
        found = self._connection.execute(select(AgentInvitationRow).where(_is_good(token, now)))
        return found.one_or_none() is not None

    def accept(self, token: str, *, name: str, signing: str, now: dt.datetime) -> JoinedAgent | None:
        """Pin a new agent's key; None where the token is unknown, used or too old."""
        spent = self._connection.execute(
            update(AgentInvitationRow)
            .where(_is_good(token, now))
            .values(used_at=now)
            .returning(AgentInvitationRow.directory)
        ).scalar_one_or_none()
        if spent is None:
            return None
        agent = JoinedAgent(secrets.token_hex(8), name, spent, signing, generation=1, joined_at=now)
        self._connection.execute(insert(AgentRow).values(**asdict(agent)))
        return agent

    def of(self, directory: str) -> tuple[JoinedAgent, ...]:
        """Return a directory's agents, oldest first."""
        query = select(AgentRow).where(AgentRow.directory == directory, AgentRow.revoked_at.is_(None))
        rows = self._connection.execute(query.order_by(AgentRow.joined_at, AgentRow.id))
        return tuple(_agent(row) for row in rows)

    def get(self, agent: str) -> JoinedAgent | None:
        """Return an agent, or None where there is none or it was revoked."""
        query = select(AgentRow).where(AgentRow.id == agent, AgentRow.revoked_at.is_(None))
        row = self._connection.execute(query).one_or_none()
        return _agent(row) if row else None

    def adopt(self, agent: str, *, signing: str, generation: int) -> bool:
        """Pin successor keys; False where a newer generation was seen meanwhile."""
        changed = self._connection.execute(
            update(AgentRow)
            .where(AgentRow.id == agent, AgentRow.generation <= generation)
            .values(signing=signing, generation=generation)
        )
        return bool(changed.rowcount)

    def revoke(self, agent: str, now: dt.datetime) -> bool:
        """Let an agent work no more; False where there is none."""
        changed = self._connection.execute(
            update(AgentRow).where(AgentRow.id == agent, AgentRow.revoked_at.is_(None)).values(revoked_at=now)
        )
        return bool(changed.rowcount)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _is_good(token: str, now: dt.datetime) -> ColumnElement[bool]:
    return and_(
        AgentInvitationRow.digest == _digest(token),
        AgentInvitationRow.used_at.is_(None),
        AgentInvitationRow.expires_at > now,
    )


def _agent(row: Row[Any]) -> JoinedAgent:
    return JoinedAgent(row.id, row.name, row.directory, row.signing, row.generation, row.joined_at)
