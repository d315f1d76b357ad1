"""Proposals: versions of the policy document that wait for a second person."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

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

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, document: Mapping[str, Any], *, author: str, base: int, now: dt.datetime) -> Proposal:
        """Keep a version; one that says the same and waits already is returned as it is."""
        for waiting in self.all():
            if waiting.document == document and waiting.base == base:
                return waiting
        newest = self._session.scalar(select(func.max(ProposalRow.number))) or 0
        row = ProposalRow(
            number=newest + 1, document=dict(document), author=author, base=base, proposed_at=now
        )
        self._session.add(row)
        self._session.flush()
        return _proposal(row)

    def get(self, number: int) -> Proposal | None:
        """Return one that waits."""
        row = self._session.get(ProposalRow, number)
        return _proposal(row) if row else None

    def all(self) -> tuple[Proposal, ...]:
        """Return everything that waits, oldest first."""
        rows = self._session.scalars(select(ProposalRow).order_by(ProposalRow.number))
        return tuple(_proposal(row) for row in rows)

    def sign(self, number: int, author: str) -> None:
        """Note who answers for a proposal that was found in a file."""
        row = self._session.get(ProposalRow, number)
        if row is not None:
            row.author = author

    def drop(self, number: int) -> None:
        """Forget one that was approved or rejected; the audit keeps what became of it."""
        self._session.execute(delete(ProposalRow).where(ProposalRow.number == number))


def _proposal(row: ProposalRow) -> Proposal:
    return Proposal(row.number, row.document, row.author, row.proposed_at, row.base)
