"""Writeback agents: the keys that were pinned when they joined, and the invitations to join."""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

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

    def __init__(self, session: Session) -> None:
        self._session = session

    def invite(self, directory: str, *, now: dt.datetime, life: dt.timedelta) -> str:
        """Return a token that lets one agent join, once; only its digest is kept."""
        token = secrets.token_urlsafe(32)
        row = AgentInvitationRow(
            digest=_digest(token), directory=directory, expires_at=now + life, used_at=None
        )
        self._session.add(row)
        return token

    def is_invited(self, token: str, now: dt.datetime) -> bool:
        """Tell whether a token lets somebody join now; changes nothing."""
        row = self._session.get(AgentInvitationRow, _digest(token))
        return row is not None and row.used_at is None and row.expires_at > now

    def accept(self, token: str, *, name: str, signing: str, now: dt.datetime) -> JoinedAgent | None:
        """Pin a new agent's key; None where the token is unknown, used or too old."""
        spent = self._session.execute(
            update(AgentInvitationRow)
            .where(
                AgentInvitationRow.digest == _digest(token),
                AgentInvitationRow.used_at.is_(None),
                AgentInvitationRow.expires_at > now,
            )
            .values(used_at=now)
            .returning(AgentInvitationRow.directory)
        ).scalar_one_or_none()
        if spent is None:
            return None
        row = AgentRow(
            id=secrets.token_hex(8),
            name=name,
            directory=spent,
            signing=signing,
            generation=1,
            joined_at=now,
            revoked_at=None,
        )
        self._session.add(row)
        self._session.flush()
        return _agent(row)

    def of(self, directory: str) -> tuple[JoinedAgent, ...]:
        """Return a directory's agents, oldest first."""
        query = select(AgentRow).where(AgentRow.directory == directory, AgentRow.revoked_at.is_(None))
        return tuple(
            _agent(row) for row in self._session.scalars(query.order_by(AgentRow.joined_at, AgentRow.id))
        )

    def get(self, agent: str) -> JoinedAgent | None:
        """Return an agent, or None where there is none or it was revoked."""
        row = self._session.get(AgentRow, agent)
        return _agent(row) if row is not None and row.revoked_at is None else None

    def adopt(self, agent: str, *, signing: str, generation: int) -> bool:
        """Pin successor keys; False where a newer generation was seen meanwhile."""
        changed = self._session.execute(
            update(AgentRow)
            .where(AgentRow.id == agent, AgentRow.generation <= generation)
            .values(signing=signing, generation=generation)
        )
        return bool(changed.rowcount)  # type: ignore[attr-defined]

    def revoke(self, agent: str, now: dt.datetime) -> bool:
        """Let an agent work no more; False where there is none."""
        changed = self._session.execute(
            update(AgentRow).where(AgentRow.id == agent, AgentRow.revoked_at.is_(None)).values(revoked_at=now)
        )
        return bool(changed.rowcount)  # type: ignore[attr-defined]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _agent(row: AgentRow) -> JoinedAgent:
    return JoinedAgent(row.id, row.name, row.directory, row.signing, row.generation, row.joined_at)
