"""The same tests on SQLite and PostgreSQL; a Valkey that is empty for every test."""

import contextlib
import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from store.database import Database, Transaction
from store.expiring import Expiring
from store.models import Base
from store.people import Person
from store.vault import Vault
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey

NOW = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


class Abandoned(Exception):
    pass


@contextlib.contextmanager
def rolled_back(database: Database) -> Iterator[Transaction]:
    """A transaction that is abandoned at its end."""
    with contextlib.suppress(Abandoned), database.transaction() as transaction:
        yield transaction
        raise Abandoned


@pytest.fixture
def vault() -> Vault:
    return Vault([b"newest key, thirty-two bytes it i"[:32]])


def migrate(url: str) -> None:
    """Fill an empty database with the schema, and leave no connection open."""
    database = Database(url, Vault([bytes(32)]))
    database.upgrade()
    database.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema, to be copied."""
    file = tmp_path_factory.mktemp("schema") / "lasting.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_url(postgres: Postgres) -> str:
    """A PostgreSQL database with the schema, emptied for each test."""
    return postgres.url(postgres.template("schema", migrate))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where no database is yet."""
    return f"sqlite:///{tmp_path}/lasting.db"


@pytest.fixture(
    params=[pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))]
)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the schema."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        shutil.copy(request.getfixturevalue("migrated_file"), url.removeprefix("sqlite:///"))
        yield url
        return
    url = request.getfixturevalue("migrated_url")
    yield url
    empty(url)


def empty(url: str) -> None:
    """Delete every row, whatever a test left behind."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)} RESTART IDENTITY"))
    engine.dispose()


@pytest.fixture
def database(database_url: str, vault: Vault) -> Iterator[Database]:
    opened = Database(database_url, vault)
    yield opened
    opened.dispose()


@pytest.fixture
def person(database: Database) -> Person:
    with database.transaction() as transaction:
        return transaction.people.ensure("https://idp.example", "subject-1", now=NOW)


@pytest.fixture
def expiring(valkey: Valkey, vault: Vault) -> Iterator[Expiring]:
    opened = Expiring(valkey.url, vault)
    yield opened
    opened.close()
