"""Spent: what may be used once, recorded in SQL too, because a Redis fail-over may lose writes (S16)."""

import datetime as dt
import hashlib

from sqlalchemy import Connection, delete

from store.columns import insert_new
from store.models import SpentRow


class Spent:
    """Spent tokens, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def spend(self, purpose: str, token: str, *, now: dt.datetime) -> bool:
        """Return True exactly once for each purpose and token, also when several try at once.

        Undone when the transaction rolls back: spend in one that commits its refusals.

        Args:
            purpose: What kind of thing is used, at most 40 characters.
            token: What is used, with the id it belongs to; kept as a digest without a key, so that a
                rotation makes nothing usable again.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        values = {"purpose": purpose, "digest": digest, "at": now}
        return insert_new(self._connection, SpentRow.__table__, values)  # type: ignore[arg-type]

    def purge(self, before: dt.datetime) -> int:
        """Forget what was spent before a time by which every token of that age is void; returns how many."""
        purged = self._connection.execute(delete(SpentRow).where(SpentRow.at < before))
        return purged.rowcount
