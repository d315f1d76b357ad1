import contextlib
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from store import database as database_module
from store.audit import AuditAction
from store.database import Database, Transaction
from store.errors import StoreMisconfigured, StoreUnavailable
from store.models import Base
from store.people import Person
from store.vault import Vault
from tests.servers.postgres import Postgres
from tests.store.conftest import NOW, rolled_back
from tests.store.race import race


class Refused(Exception):
    pass


@contextlib.contextmanager
def refused(database: Database) -> Iterator[Transaction]:
    with pytest.raises(Refused), database.transaction(commit_on=(Refused,)) as transaction:  # noqa: PT012
        yield transaction
        raise Refused


def seen(database: Database, subject: str) -> Person | None:
    with database.reading() as transaction:
        return transaction.people.by_subject("idp", subject)


def test_models_and_migrations_agree(database: Database) -> None:
    with database._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_schema_can_be_upgraded_again_and_by_several_processes_at_once(
    database_url: str, vault: Vault
) -> None:
    def upgrade(_: int) -> None:
        database = Database(database_url, vault)
        database.upgrade()
        database.dispose()

    race(upgrade, 4)


def test_an_empty_database_is_upgraded_once_when_several_start_together(
    sqlite_url: str, vault: Vault
) -> None:
    def upgrade(_: int) -> None:
        database = Database(sqlite_url, vault)
        database.upgrade()
        database.dispose()

    race(upgrade, 4)
    database = Database(sqlite_url, vault)
    assert seen(database, "nobody") is None
    database.dispose()


def test_a_new_sqlite_file_is_for_its_owner_only(sqlite_url: str, vault: Vault) -> None:
    database = Database(sqlite_url, vault)
    database.upgrade()
    with database.transaction() as transaction:
        transaction.people.ensure("idp", "somebody", now=NOW)
        files = Path(sqlite_url.removeprefix("sqlite:///")).parent.iterdir()
        modes = {file.suffix: stat.S_IMODE(file.stat().st_mode) for file in files}
    database.dispose()
    assert modes == dict.fromkeys([".db", ".db-shm", ".db-wal"], 0o600)


def test_a_sqlite_file_that_cannot_be_made_is_refused(tmp_path: Path, vault: Vault) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/lasting.db", vault)
    with pytest.raises(StoreMisconfigured):
        database.upgrade()
    database.dispose()


def test_a_block_that_ends_is_committed(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.people.ensure("idp", "committed", now=NOW)
    assert seen(database, "committed") is not None


def test_a_block_that_raises_is_rolled_back(database: Database) -> None:
    with rolled_back(database) as transaction:
        transaction.people.ensure("idp", "rolled back", now=NOW)
    assert seen(database, "rolled back") is None


def test_a_refusal_commits_what_was_done_and_goes_on(database: Database) -> None:
    with refused(database) as transaction:
        transaction.people.ensure("idp", "refused", now=NOW)
    assert seen(database, "refused") is not None


def test_what_should_follow_a_commit_follows_it(database: Database) -> None:
    found: list[Person | None] = []
    with database.transaction() as transaction:
        transaction.after_commit(lambda: found.append(seen(database, "followed")))
        transaction.people.ensure("idp", "followed", now=NOW)
        assert found == []
    assert found[0] is not None


def test_nothing_follows_a_rollback(database: Database) -> None:
    called: list[bool] = []
    with rolled_back(database) as transaction:
        transaction.after_commit(lambda: called.append(True))
    assert called == []


def test_what_follows_a_committed_refusal_follows_it_too(database: Database) -> None:
    called: list[bool] = []
    with refused(database) as transaction:
        transaction.after_commit(lambda: called.append(True))
    assert called == [True]


def test_a_reading_transaction_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"database|read-only"), database.reading() as transaction:
        transaction.people.ensure("idp", "written", now=NOW)
    assert seen(database, "written") is None
    with database.transaction() as transaction:
        assert transaction.people.ensure("idp", "written later", now=NOW)


def test_reading_waits_for_no_writer(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.people.ensure("idp", "uncommitted", now=NOW)
        assert seen(database, "uncommitted") is None


def test_sixteen_writers_that_read_first_all_succeed(database: Database) -> None:
    def write(number: int) -> None:
        with database.transaction() as transaction:
            transaction.people.by_subject("idp", "somebody")
            transaction.people.ensure("idp", f"person {number}", now=NOW)

    race(write)
    assert all(seen(database, f"person {number}") for number in range(16))


def test_two_processes_on_one_sqlite_file_wait_for_each_other(sqlite_url: str, vault: Vault) -> None:
    ours, theirs = Database(sqlite_url, vault), Database(sqlite_url, vault)
    ours.upgrade()

    def write(number: int) -> None:
        with (ours, theirs)[number % 2].transaction() as transaction:
            transaction.people.by_subject("idp", "somebody")
            transaction.people.ensure("idp", f"person {number}", now=NOW)

    race(write, 8)
    assert all(seen(ours, f"person {number}") for number in range(8))
    ours.dispose()
    theirs.dispose()


def test_a_writer_that_waits_too_long_is_told_so(
    sqlite_url: str, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_WAIT_SECONDS", 0.05)
    database = Database(sqlite_url, vault)
    database.upgrade()
    blocker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable), database.transaction():
        pass
    blocker.close()
    with database.transaction() as transaction:
        assert transaction.people.ensure("idp", "afterwards", now=NOW)
    database.dispose()


def test_sqlite_is_set_up_for_many_readers_and_safe_references(sqlite_url: str, vault: Vault) -> None:
    database = Database(sqlite_url, vault)
    with database._engine.connect() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5000}


@pytest.fixture
def unreachable(postgres: Postgres, vault: Vault) -> Iterator[Database]:
    name = postgres.new_database()
    opened = Database(postgres.url(name), vault)
    postgres.drop_database(name)
    yield opened
    opened.dispose()


def test_a_database_that_is_gone_is_unavailable_in_every_way(unreachable: Database) -> None:
    with pytest.raises(StoreUnavailable):
        unreachable.upgrade()
    with pytest.raises(StoreUnavailable):
        unreachable.ping()
    with pytest.raises(StoreUnavailable), unreachable.transaction():
        pass
    with pytest.raises(StoreUnavailable), unreachable.reading():
        pass


def test_a_missing_sqlite_file_is_unavailable_to_the_gate(tmp_path: Path, vault: Vault) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/lasting.db", vault)
    with pytest.raises(StoreUnavailable):
        database.ping()
    database.dispose()


def test_connections_ended_by_the_server_are_replaced(
    postgres: Postgres, vault: Vault, database_url: str
) -> None:
    database = Database(database_url, vault)
    database.upgrade()
    assert database.gate_facts("idp", "nobody") is None
    if "postgresql" in database_url:
        with postgres.connect() as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                " and backend_type = 'client backend'"
            )
    assert database.gate_facts("idp", "nobody") is None
    with database.transaction() as transaction:
        assert transaction.people.ensure("idp", "somebody", now=NOW)
    database.dispose()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "postgresql://host/name"]
)
def test_a_database_that_we_cannot_use_is_refused(url: str, vault: Vault) -> None:
    with pytest.raises(StoreMisconfigured):
        Database(url, vault)


def test_times_come_back_aware_in_utc_to_the_microsecond(database: Database, person: Person) -> None:
    with database.reading() as transaction:
        found = transaction.people.get(person.id)
    assert found is not None
    assert found.created_at == NOW
    assert str(found.created_at.tzinfo) == "UTC"


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="offset-naive"), database.transaction() as transaction:
        transaction.audit.record(AuditAction.NOTICE_SENT, now=NOW.replace(tzinfo=None))


def test_an_error_from_the_database_does_not_tell_parameters(database: Database) -> None:
    with pytest.raises(Exception) as caught, database.transaction() as transaction:
        transaction.authenticators.add(
            "nobody", "email", b"x", now=NOW, trusted_from=NOW, provenance="self", lookup="telltale"
        )
    assert "telltale" not in str(caught.value)


def test_threads_each_have_their_own_connection_to_the_gate(database: Database, person: Person) -> None:
    answers = race(lambda _: (threading.get_ident(), database.gate_facts(person.source, person.subject)))
    assert {facts.person_id for _, facts in answers if facts} == {person.id}
    assert all(facts is not None for _, facts in answers)
