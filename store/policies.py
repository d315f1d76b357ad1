"""Policies: versions of the policy document, kept for ever."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from store.errors import Conflict
from store.models import PolicyRow


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """One version."""

    version: int
    """1, 2, … without gaps."""
    document: dict[str, Any]
    stored_at: dt.datetime
    author: str


class Policies:
    """Policies, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest_version(self) -> int:
        """Return the newest version's number; 0 before the first."""
        return self._connection.scalar(select(func.max(PolicyRow.version))) or 0

    def newest(self) -> StoredPolicy | None:
        """Return the newest version, or None before the first."""
        return self.version(self.newest_version())

    def version(self, number: int) -> StoredPolicy | None:
        """Return one version."""
        row = self._connection.execute(select(PolicyRow).where(PolicyRow.version == number)).one_or_none()
        return StoredPolicy(row.version, row.document, row.stored_at, row.author) if row else None

    def store(self, document: Mapping[str, Any], *, author: str, now: dt.datetime) -> StoredPolicy:
        """Store a new version; the newest is returned unchanged when the document equals it.

        Raises:
            Conflict: Another version was stored at the same time.
        """
        newest = self.newest()
        if newest is not None and newest.document == document:
            return newest
        stored = StoredPolicy(newest.version + 1 if newest else 1, dict(document), now, author)
        try:
            self._connection.execute(insert(PolicyRow).values(**asdict(stored)))
        except IntegrityError as error:
            raise Conflict from error
        return stored
