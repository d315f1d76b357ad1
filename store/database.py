"""One transaction per request or command, opened at the edge and committed once."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store import migrations
from store.agents import Agents
from store.audit import Audit
from store.authenticators import Authenticators
from store.errors import StoreMisconfigured, StoreUnavailable
from store.gate_facts import GateFacts, GateReader, reader_for
from store.people import People
from store.policies import Policies
from store.proposals import Proposals
from store.spent import Spent
from store.target_states import TargetStates
from store.vault import Vault

_WAIT_SECONDS = 5
_READ_ONLY = "sparekey_read_only"
_UPGRADE_LOCK = 0x5BA7E4E1


class Transaction:
    """Everything lasting, bound to one transaction."""

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self.people = People(connection)
        self.authenticators = Authenticators(connection, vault)
        self.policies = Policies(connection)
        self.proposals = Proposals(connection)
        self.audit = Audit(connection)
        self.spent = Spent(connection)
        self.agents = Agents(connection)
        self.target_states = TargetStates(connection)
        self._afterwards: list[Callable[[], object]] = []

    def after_commit(self, function: Callable[[], object]) -> None:
        """Call `function` once this transaction has committed; never when it rolls back."""
        self._afterwards.append(function)

    def _committed(self) -> None:
        for function in self._afterwards:
            function()


class Database:
    """SQLite or PostgreSQL, by its SQLAlchemy address."""

    def __init__(self, url: str, vault: Vault) -> None:
        """Take the address and the key ring that seals secrets; nothing is opened yet.

        Raises:
            StoreMisconfigured: Neither a SQLite file nor PostgreSQL through psycopg.
        """
        self._engine = _engine(url)
        self._reader = self._engine.execution_options(**{_READ_ONLY: True, "postgresql_readonly": True})
        self._vault = vault
        self._gate: GateReader = reader_for(self._engine)
        # SQLite lets one write at a time and starves who waits; threads of one process queue here instead.
        self._writer = threading.Lock() if self._engine.dialect.name == "sqlite" else None

    def upgrade(self) -> None:
        """Bring the schema to its newest version; safe when several processes start at once.

        Raises:
            StoreUnavailable: The database did not answer.
            StoreMisconfigured: The SQLite file cannot be made.
        """
        if self._engine.dialect.name == "sqlite":
            _make_private(Path(self._engine.url.database or ""))
        with _mapped(), self._writing(), self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))
            command.upgrade(_alembic(connection), "head")

    def ping(self) -> None:
        """Ask the gate's own statement for nobody: the breaker's probe (S10).

        Raises:
            StoreUnavailable: No answer.
        """
        self._gate.read("", "")

    def dispose(self) -> None:
        """Close every connection."""
        self._gate.close()
        self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self, *, commit_on: tuple[type[BaseException], ...] = ()) -> Iterator[Transaction]:
        """Open a transaction that may write; committed at the end of the block.

        Args:
            commit_on: Exceptions that are refusals: what was done is committed, then they go on. Every
                other exception rolls back.

        Raises:
            StoreUnavailable: The database did not answer in time; after a lost commit the outcome is unknown.
        """
        refusal: BaseException | None = None
        # SQLite takes its lock as it begins, before anything is read, so that no read is stale.
        with _mapped(), self._writing(), self._engine.begin() as connection:
            transaction = Transaction(connection, self._vault)
            try:
                yield transaction
            except commit_on as error:
                refusal = error
        transaction._committed()  # noqa: SLF001 - the two are one
        if refusal is not None:
            raise refusal

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that only reads: it waits for no writer, and a write in it fails.

        Raises:
            StoreUnavailable: The database did not answer in time.
        """
        with _mapped(), self._reader.begin() as connection:
            yield Transaction(connection, self._vault)

    def gate_facts(self, subject_source: str, subject_id: str) -> GateFacts | None:
        """Return what the gate needs to know, by one prepared statement without the ORM.

        Returns:
            None for somebody never seen.

        Raises:
            StoreUnavailable: The database did not answer in time.
        """
        return self._gate.read(subject_source, subject_id)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(timeout=_WAIT_SECONDS):
            raise StoreUnavailable("database")
        try:
            yield
        finally:
            self._writer.release()


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, sqlite3.OperationalError) as error:
        raise StoreUnavailable("database") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable("database") from error
        raise


def _engine(address: str) -> Engine:
    url = make_url(address)
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(address)
    if url.drivername != "postgresql+psycopg":
        raise StoreMisconfigured("database.url")
    options = f"-c lock_timeout={_WAIT_SECONDS}s -c timezone=UTC"
    arguments = {"connect_timeout": _WAIT_SECONDS, "options": options}
    # Security: parameters may hold sealed secrets and digests; they stay out of exceptions and logs.
    return create_engine(
        url, connect_args=arguments, pool_pre_ping=True, pool_timeout=_WAIT_SECONDS, hide_parameters=True
    )


def _sqlite_engine(address: str) -> Engine:
    database = make_url(address).database
    if not database or database == ":memory:":
        raise StoreMisconfigured("database.url")
    engine = create_engine(address, connect_args={"timeout": _WAIT_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(file: Path) -> None:
    # Security: SQLite would make it readable for everybody on the host; its -wal and -shm follow it.
    try:
        file.touch(mode=0o600)
    except OSError as error:
        raise StoreMisconfigured("database.url") from error


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    connection.isolation_level = None
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
    )


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes cannot wait for the lock: it fails at once.
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    # Past SQLAlchemy's own execution, which would take ten times as long for each.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
    driver.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    return config
