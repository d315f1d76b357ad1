"""What the gate asks at every sign-in: one prepared statement on the driver's own connection.

No ORM and no pool here: a sign-in that is already covered should cost microseconds. Each thread keeps one
read-only connection of its own.
"""

import datetime as dt
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Engine

from store.columns import from_microseconds
from store.errors import StoreUnavailable
from store.people import Doubt, Postponements

try:
    import psycopg
except ImportError:  # the `postgres` extra is not installed
    psycopg = None  # type: ignore[assignment]

_WAIT_SECONDS = 3

# One row per authenticator, one with no kind where there is none. The last column tells whether anything was
# put off or doubted: few people have such rows, and asking for them at once would cost everybody.
_STATEMENT = """
SELECT p.id, p.epoch, p.frozen_at, p.seen_at,
       a.kind, a.confirmed_at, a.trusted_from, a.suspended_at, a.confirmed_version,
       EXISTS (SELECT 1 FROM postponements l WHERE l.person_id = p.id)
       OR EXISTS (SELECT 1 FROM doubts d WHERE d.person_id = p.id)
  FROM people p LEFT JOIN authenticators a ON a.person_id = p.id
 WHERE p.source = {0} AND p.subject = {0}
"""
_MORE = """
SELECT at, session, NULL FROM postponements WHERE person_id = {0}
UNION ALL
SELECT at, NULL, why FROM doubts WHERE person_id = {0}
"""

_SQLITE_SETTINGS = "PRAGMA query_only = ON; PRAGMA mmap_size = 2147418112;"
"""Two gibibytes are all that SQLite maps."""
_NEVER = Postponements()
_Row = Sequence[Any]
_Answer = TypeVar("_Answer")


class _Closable(Protocol):
    def close(self) -> None: ...


_Connection = TypeVar("_Connection", bound=_Closable)


class _PerThread(Generic[_Connection]):
    """One connection for each thread, all of them known, so that they can be closed."""

    def __init__(self, connect: Callable[[], _Connection]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._all: list[_Connection] = []
        self._lock = threading.Lock()

    def get(self) -> _Connection:
        connection: _Connection | None = getattr(self._local, "connection", None)
        return self._open() if connection is None else connection

    def _open(self) -> _Connection:
        connection = self._connect()
        self._local.connection = connection
        with self._lock:
            self._all.append(connection)
        return connection

    def drop(self) -> None:
        connection: _Connection | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with self._lock:
                self._all = [other for other in self._all if other is not connection]
            connection.close()

    def close(self) -> None:
        with self._lock:
            connections, self._all = self._all, []
        self._local = threading.local()
        for connection in connections:
            connection.close()


class AuthenticatorFact(NamedTuple):
    """What the gate knows of one authenticator: everything but its secret."""

    kind: str
    confirmed_at: dt.datetime
    trusted_from: dt.datetime
    suspended: bool
    confirmed_version: int = 0


class GateFacts(NamedTuple):
    """What the gate knows of one person; a tuple, because it is made at every sign-in."""

    person_id: str
    epoch: int
    frozen: bool
    authenticators: tuple[AuthenticatorFact, ...] = ()
    """In no particular order."""
    postponements: Postponements = _NEVER
    doubts: tuple[Doubt, ...] = ()
    """In no particular order."""
    seen_at: dt.datetime | None = None


class GateReader(Protocol):
    """Reads gate facts from one kind of database."""

    def read(self, source: str, subject: str) -> GateFacts | None:
        """Return the facts, or None for somebody never seen.

        Raises:
            StoreUnavailable: The database did not answer in time.
        """

    def close(self) -> None:
        """Close every thread's connection."""


def reader_for(engine: Engine) -> GateReader:
    """Return the reader for an engine's database."""
    return _PostgresReader(engine) if engine.dialect.name == "postgresql" else _SqliteReader(engine)


class _SqliteReader:
    _statement, _more = _STATEMENT.format("?"), _MORE.format("?")

    def __init__(self, engine: Engine) -> None:
        self._path = engine.url.database or ""
        self._connections: _PerThread[sqlite3.Connection] = _PerThread(self._connect)

    def read(self, source: str, subject: str) -> GateFacts | None:
        try:
            connection = self._connections.get()
            rows = connection.execute(self._statement, (source, subject)).fetchall()
            more = connection.execute(self._more, rows[0][:1] * 2).fetchall() if _has_more(rows) else ()
        except UnicodeEncodeError:
            return None  # lone surrogates: such a subject was never stored
        except sqlite3.Error as error:
            self._connections.drop()
            raise StoreUnavailable("database") from error
        return _facts(rows, more, from_microseconds)

    def close(self) -> None:
        self._connections.close()

    def _connect(self) -> sqlite3.Connection:
        # Each thread uses its own connection; only `close` reaches for another thread's.
        connection = sqlite3.connect(
            self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.executescript(_SQLITE_SETTINGS)
        return connection


class _PostgresReader:
    _statement, _more = _STATEMENT.format("%s"), _MORE.format("%s")

    def __init__(self, engine: Engine) -> None:
        self._arguments, self._options = engine.dialect.create_connect_args(engine.url)
        self._connections: _PerThread[psycopg.Connection[Any]] = _PerThread(self._connect)

    def read(self, source: str, subject: str) -> GateFacts | None:
        try:
            rows, more = self._once_more(lambda: self._rows(source, subject))
        except (UnicodeEncodeError, psycopg.DataError):
            return None  # lone surrogates or NUL: such a subject was never stored
        except psycopg.Error as error:
            self._connections.drop()
            raise StoreUnavailable("database") from error
        return _facts(rows, more, lambda moment: moment)

    def close(self) -> None:
        self._connections.close()

    def _once_more(self, ask: Callable[[], _Answer]) -> _Answer:
        # A restarted server ends every thread's connection; asking again reads nothing twice.
        try:
            return ask()
        except psycopg.OperationalError:
            self._connections.drop()
            return ask()

    def _rows(self, source: str, subject: str) -> tuple[list[_Row], Sequence[_Row]]:
        connection = self._connections.get()
        rows = connection.execute(self._statement, (source, subject), binary=True).fetchall()
        if not _has_more(rows):
            return rows, ()
        return rows, connection.execute(self._more, (rows[0][0],) * 2, binary=True).fetchall()

    def _connect(self) -> "psycopg.Connection[Any]":
        connection = psycopg.connect(
            *self._arguments,
            **{"connect_timeout": _WAIT_SECONDS, **self._options},
            autocommit=True,
            prepare_threshold=0,
        )
        connection.execute(f"SET statement_timeout = '{_WAIT_SECONDS}s'")
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SET timezone = 'UTC'")
        return connection


def _has_more(rows: Sequence[_Row]) -> bool:
    return bool(rows) and bool(rows[0][9])


def _facts(
    rows: Sequence[_Row], more: Sequence[_Row], moment: Callable[[Any], dt.datetime]
) -> GateFacts | None:
    """Read the answers to the two statements."""
    if not rows:
        return None
    person_id, epoch, frozen_at, seen_at = rows[0][:4]
    return GateFacts(
        person_id,
        epoch,
        frozen_at is not None,
        tuple(
            [
                AuthenticatorFact(row[4], moment(row[5]), moment(row[6]), row[7] is not None, row[8])
                for row in rows
                if row[4] is not None
            ]
        ),
        _postponements([(session, moment(at)) for at, session, _ in more if session is not None]),
        tuple([Doubt(why, moment(at)) for at, _, why in more if why is not None]),
        None if seen_at is None else moment(seen_at),
    )


def _postponements(put_off: list[tuple[str, dt.datetime]]) -> Postponements:
    if not put_off:
        return _NEVER
    return Postponements(
        len(put_off), min(at for _, at in put_off), frozenset(session for session, _ in put_off)
    )
