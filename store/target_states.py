"""Which password works where: what each of several targets last did with a person's new password."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from store.columns import insert_new
from store.models import TargetStateRow


@dataclass(frozen=True, slots=True)
class TargetState:
    """The newest result of one target."""

    target: str
    state: str
    """A word of the caller's, at most 20 characters."""
    at: dt.datetime


class TargetStates:
    """Results, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, person_id: str, states: Mapping[str, str], *, now: dt.datetime) -> None:
        """Keep the newest result of each target, by its name; safe when raced."""
        for target, state in states.items():
            key = {"person_id": person_id, "target": target}
            values = {"state": state, "at": now}
            if not insert_new(self._connection, TargetStateRow.__table__, {**key, **values}):  # type: ignore[arg-type]
                self._connection.execute(update(TargetStateRow).filter_by(**key).values(**values))

    def of(self, person_id: str) -> tuple[TargetState, ...]:
        """Return what is known of a person, by the targets' names."""
        rows = self._connection.execute(
            select(TargetStateRow)
            .where(TargetStateRow.person_id == person_id)
            .order_by(TargetStateRow.target)
        )
        return tuple(TargetState(row.target, row.state, row.at) for row in rows)

    def forget(self, person_id: str) -> None:
        """Forget what is known of a person: nobody can tell any more."""
        self._connection.execute(delete(TargetStateRow).where(TargetStateRow.person_id == person_id))
