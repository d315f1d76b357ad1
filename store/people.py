"""People: one lasting record for each subject of each source."""

import datetime as dt
import enum
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, literal_column, select, update

from store.columns import first_of, insert_new
from store.models import DoubtRow, PersonRow, PostponementRow
from store.prepared import PreparedWrite

# Columns, and each query built once, for what every request asks.
_PEOPLE = PersonRow.__table__.c
_BY_ID = select(*_PEOPLE).where(_PEOPLE.id == bindparam("id"))
_BY_SUBJECT = select(*_PEOPLE).where(
    _PEOPLE.source == bindparam("source"), _PEOPLE.subject == bindparam("subject")
)
_NEXT_EPOCH = PreparedWrite(
    update(PersonRow)
    .where(PersonRow.id == bindparam("person_id"))
    .values(epoch=PersonRow.epoch + literal_column("1"))
)


@dataclass(frozen=True, slots=True)
class Person:
    """Our lasting record of somebody; what the identity provider says of them is never kept."""

    id: str
    """Ours: 32 hex digits, random."""
    source: str
    """Where the subject was issued: the OIDC issuer."""
    subject: str
    """The immutable id there."""
    epoch: int
    """Grows whenever something that was said of the person earlier must no longer be believed (S12)."""
    created_at: dt.datetime
    registered_at: dt.datetime | None
    """When the first authenticator was bound."""
    frozen_at: dt.datetime | None
    """Since when recovery is frozen ("this was not me"); None where it is not."""
    seen_at: dt.datetime | None = None
    """When the gate last let them go as covered, to about a day; None where no rule asks about absence."""
    directory_digest: str | None = field(default=None, repr=False)
    """What the directory last said of their addresses, as a keyed digest; None before it was compared."""


@dataclass(frozen=True, slots=True)
class Postponements:
    """How often registration was put off since it was last complete."""

    count: int = 0
    first_at: dt.datetime | None = None
    sessions: frozenset[str] = frozenset()
    """Digests of the IdP sessions in which it was put off."""

    def includes(self, session_id: str) -> bool:
        """Tell whether it was put off in this IdP session; never for a sign-in without a session id."""
        return bool(session_id) and session_digest(session_id) in self.sessions


class Evidence(enum.StrEnum):
    """What makes us ask whether everything registered still is right, however lately somebody said so."""

    ASKED = "asked"
    """An operator asked for it."""
    UNDELIVERABLE = "undeliverable"
    """A code could not be delivered to what is registered."""
    DIRECTORY = "directory"
    """The directory says something else of the person's addresses than it did."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Since when what was confirmed earlier is in doubt, and why."""

    why: str
    """An `Evidence`."""
    at: dt.datetime


def session_digest(session_id: str) -> str:
    """Return what is kept of an IdP session id: enough to recognise it, not enough to use it.

    Without a key, because the ids are long and random, and a key's rotation must not make one session
    count twice.
    """
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class People:
    """People, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, person_id: str) -> Person | None:
        """Return the person with this id of ours."""
        return self._read(_BY_ID, id=person_id)

    def by_subject(self, source: str, subject: str) -> Person | None:
        """Return the person with this subject, or None for one never seen."""
        return self._read(_BY_SUBJECT, source=source, subject=subject)

    def _read(self, query: Select[Any], **which: str) -> Person | None:
        row = self._connection.execute(query, which).one_or_none()
        return _person(row) if row else None

    def ensure(self, source: str, subject: str, *, now: dt.datetime) -> Person:
        """Return the person with this subject, making the record if there is none; safe when raced."""
        person = self.by_subject(source, subject)
        if person is None:
            self._insert(source, subject, now)
            person = self.by_subject(source, subject)
        if person is None:
            raise LookupError("a person was removed while being recorded")
        return person

    def _insert(self, source: str, subject: str, now: dt.datetime) -> None:
        values = {"source": source, "subject": subject, "epoch": 0, "created_at": now}
        insert_new(self._connection, PersonRow.__table__, {"id": uuid.uuid4().hex, **values})  # type: ignore[arg-type]

    def postpone(self, person_id: str, session_id: str, *, now: dt.datetime) -> int:
        """Put registration off in one IdP session; the same session counts once.

        Returns:
            How many sessions it was put off in, this one included.

        Raises:
            ValueError: An empty session id, which would never be found again.
        """
        if not session_id:
            raise ValueError("a postponement needs the session that it holds for")
        values = {"person_id": person_id, "session": session_digest(session_id), "at": now}
        insert_new(self._connection, PostponementRow.__table__, values)  # type: ignore[arg-type]
        return self.postponements(person_id).count

    def postponements(self, person_id: str) -> Postponements:
        """Return how often, since when and in which sessions registration was put off."""
        rows = self._connection.execute(
            select(PostponementRow.session, PostponementRow.at).where(PostponementRow.person_id == person_id)
        ).all()
        first = min((row.at for row in rows), default=None)
        return Postponements(len(rows), first, frozenset(row.session for row in rows))

    def clear_postponements(self, person_id: str) -> None:
        """Forget them: registration is complete."""
        self._connection.execute(delete(PostponementRow).where(PostponementRow.person_id == person_id))

    def doubt(self, person_id: str, why: Evidence, *, now: dt.datetime) -> None:
        """Put what was confirmed so far in doubt.

        Running attempts go on: what is in doubt proves as much as before.
        """
        values = {"person_id": person_id, "why": why.value, "at": now}
        if not insert_new(self._connection, DoubtRow.__table__, values):  # type: ignore[arg-type]
            which = (DoubtRow.person_id == person_id) & (DoubtRow.why == why.value)
            self._connection.execute(update(DoubtRow).where(which).values(at=now))

    def doubts(self, person_id: str) -> tuple[Doubt, ...]:
        """Return every reason for doubt, settled ones too: what was confirmed since is not in doubt."""
        rows = self._connection.execute(
            select(DoubtRow.why, DoubtRow.at).where(DoubtRow.person_id == person_id).order_by(DoubtRow.why)
        )
        return tuple(Doubt(row.why, row.at) for row in rows)

    def seen(self, moments: Mapping[str, dt.datetime]) -> None:
        """Note when people were last let go by the gate; an earlier moment never replaces a later one."""
        for person_id, at in moments.items():
            earlier = PersonRow.seen_at.is_(None) | (PersonRow.seen_at < at)
            which = (PersonRow.id == person_id) & earlier
            self._connection.execute(update(PersonRow).where(which).values(seen_at=at))

    def note_directory(self, person_id: str, digest: str) -> None:
        """Remember what the directory says of somebody, as a keyed digest."""
        self._change(person_id, directory_digest=digest)

    def bump_epoch(self, person_id: str) -> None:
        """Void what was said of the person so far, such as "satisfied" cookies (S12)."""
        _NEXT_EPOCH.run(self._connection, person_id=person_id)

    def freeze(self, person_id: str, *, now: dt.datetime) -> None:
        """Freeze recovery: nothing registered counts or proves anything until it is unfrozen (S23).

        The first freezing stands; a second one does not move its time.
        """
        self._change(person_id, frozen_at=first_of(PersonRow.frozen_at, now), epoch=PersonRow.epoch + 1)

    def unfreeze(self, person_id: str) -> None:
        """Let recovery work again."""
        self._change(person_id, frozen_at=None, epoch=PersonRow.epoch + 1)

    def registered(self, person_id: str, *, now: dt.datetime) -> None:
        """Note the first registration; later ones do not move its time."""
        self._change(person_id, registered_at=first_of(PersonRow.registered_at, now))

    def _change(self, person_id: str, **values: object) -> None:
        self._connection.execute(update(PersonRow).where(PersonRow.id == person_id).values(**values))


def _person(row: Row[Any]) -> Person:
    return Person(
        id=row.id,
        source=row.source,
        subject=row.subject,
        epoch=row.epoch,
        created_at=row.created_at,
        registered_at=row.registered_at,
        frozen_at=row.frozen_at,
        seen_at=row.seen_at,
        directory_digest=row.directory_digest,
    )
