"""Column types and the one statement that the two databases spell differently."""

import datetime as dt
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Table,
    TypeDecorator,
    bindparam,
    func,
    literal,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeEngine

from store.prepared import PreparedWrite

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

Document = JSON().with_variant(JSONB(), "postgresql")
RowNumber = BigInteger().with_variant(Integer(), "sqlite")


def to_microseconds(moment: dt.datetime) -> int:
    """Return microseconds since 1970 for an aware time; naive times raise `TypeError`."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> dt.datetime:
    """Return the aware UTC time of microseconds since 1970."""
    return EPOCH + dt.timedelta(microseconds=microseconds)


class Moment(TypeDecorator[dt.datetime]):
    """An aware UTC time: `timestamptz` on PostgreSQL, microseconds since 1970 on SQLite.

    SQLite has no type for times, and the gate's statement reads integers without parsing text.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Store UTC; a naive time is a mistake of ours and raises `TypeError`."""
        if value is None:
            return None
        microseconds = to_microseconds(value)
        return value.astimezone(dt.UTC) if dialect.name == "postgresql" else microseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Return aware UTC, whatever the server's time zone."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(dt.UTC)  # type: ignore[no-any-return]
        return from_microseconds(value)


def first_of(column: Any, moment: dt.datetime) -> ColumnElement[Any]:
    """Return an SQL expression: the column's own time where it has one, else this one."""
    return func.coalesce(column, literal(moment, Moment()))


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same unique key is there; True when this call inserted it.

    Two transactions at once: the second waits for the first to end, then inserts only if it rolled back.
    """
    return _insert_new(connection.dialect.name, table, tuple(values)).run(connection, **values) == 1


@cache
def _insert_new(dialect: str, table: Table, columns: tuple[str, ...]) -> PreparedWrite:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return PreparedWrite(
        insert(table).values({name: bindparam(name) for name in columns}).on_conflict_do_nothing()
    )
