"""Writes that every step does: put into words by SQLAlchemy once, and run by the driver as they are.

What SQLAlchemy's own execution does besides takes several times as long as the database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, UpdateBase


@dataclass(frozen=True, slots=True)
class _Words:
    """A statement in one dialect."""

    text: str
    order: tuple[str, ...] | None
    """Of the parameters; None where the driver takes them by name."""
    converters: Mapping[str, Callable[[Any], Any] | None]
    """What makes of each parameter what the driver takes; None where it takes it as it is."""


class PreparedWrite:
    """One INSERT, UPDATE or DELETE, with the types of its values. Thread-safe."""

    def __init__(self, statement: UpdateBase) -> None:
        """Take a statement whose values are all parameters."""
        self._statement = statement
        self._in: dict[str, _Words] = {}

    def run(self, connection: Connection, **values: Any) -> int:
        """Run it, and return how many rows it changed."""
        words = self._words(connection.dialect)
        given = {
            name: convert(values[name]) if convert else values[name]
            for name, convert in words.converters.items()
        }
        parameters = given if words.order is None else tuple(given[name] for name in words.order)
        # Without the option, SQLAlchemy does not ask psycopg for the count of an INSERT.
        options = {"preserve_rowcount": True}
        return connection.exec_driver_sql(words.text, parameters, execution_options=options).rowcount

    def _words(self, dialect: Dialect) -> _Words:
        if dialect.name not in self._in:
            self._in[dialect.name] = self._put(dialect)
        return self._in[dialect.name]

    def _put(self, dialect: Dialect) -> _Words:
        compiled: Any = self._statement.compile(dialect=dialect)
        return _Words(
            text=str(compiled),
            order=tuple(compiled.positiontup) if dialect.positional else None,
            converters={
                name: bind.type.dialect_impl(dialect).bind_processor(dialect)
                for name, bind in compiled.binds.items()
            },
        )
