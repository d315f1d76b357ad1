"""Proposals: versions of the policy document that wait for a second person."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from store.models import ProposalRow


@dataclass(frozen=True, slots=True)
class Proposal:
    """One version that waits."""

    number: int
    """1, 2, … for as long as any waits."""
    document: dict[str, Any]
    author: str
    """Who proposed it; empty for one that was found in the policy file, until somebody adopts it."""
    proposed_at: dt.datetime
    base: int
    """The version in force when it was proposed: what it was compared with."""


class Proposals:
    """Proposals, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, document: Mapping[str, Any], *, author: str, base: int, now: dt.datetime) -> Proposal:
        """Keep a version; one that says the same and waits already is returned as it is."""
        for waiting in self.all():
            if waiting.document == document and waiting.base == base:
                return waiting
        newest = self._connection.scalar(select(func.max(ProposalRow.number))) or 0
        proposal = Proposal(newest + 1, dict(document), author, proposed_at=now, base=base)
        self._connection.execute(insert(ProposalRow).values(**asdict(proposal)))
        return proposal

    def get(self, number: int) -> Proposal | None:
        """Return one that waits."""
        row = self._connection.execute(select(ProposalRow).where(ProposalRow.number == number)).one_or_none()
        return _proposal(row) if row else None

    def all(self) -> tuple[Proposal, ...]:
        """Return everything that waits, oldest first."""
        rows = self._connection.execute(select(ProposalRow).order_by(ProposalRow.number))
        return tuple(_proposal(row) for row in rows)

    def sign(self, number: int, author: str) -> None:
        """Note who answers for a proposal that was found in a file."""
        signed = update(ProposalRow).where(ProposalRow.number == number).values(author=author)
        self._connection.execute(signed)

    def drop(self, number: int) -> None:
        """Forget one that was approved or rejected; the audit keeps what became of it."""
        self._connection.execute(delete(ProposalRow).where(ProposalRow.number == number))


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(row.number, row.document, row.author, row.proposed_at, row.base)
