import datetime as dt

from store.database import Database
from tests.store.conftest import NOW, rolled_back
from tests.store.race import race


def test_a_token_is_spent_once_for_each_purpose(database: Database) -> None:
    with database.transaction() as transaction:
        spend = transaction.spent.spend
        assert spend("code", "attempt-1:123456", now=NOW)
        assert not spend("code", "attempt-1:123456", now=NOW)
        assert spend("code", "attempt-2:123456", now=NOW)
        assert spend("claim", "attempt-1:123456", now=NOW)
    with database.transaction() as transaction:
        assert not transaction.spent.spend("code", "attempt-1:123456", now=NOW)


def test_of_sixteen_who_spend_one_token_one_wins(database: Database) -> None:
    def spend(_: int) -> bool:
        with database.transaction() as transaction:
            return transaction.spent.spend("claim", "attempt", now=NOW)

    assert sum(race(spend)) == 1


def test_what_is_rolled_back_was_not_spent(database: Database) -> None:
    with rolled_back(database) as transaction:
        assert transaction.spent.spend("claim", "attempt", now=NOW)
    with database.transaction() as transaction:
        assert transaction.spent.spend("claim", "attempt", now=NOW)


def test_the_token_itself_is_not_kept(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.spent.spend("code", "telltale", now=NOW)
    with database._engine.connect() as connection:
        assert "telltale" not in str(connection.exec_driver_sql("SELECT * FROM spent").all())


def test_only_what_is_older_is_purged(database: Database) -> None:
    day = dt.timedelta(days=1)
    with database.transaction() as transaction:
        transaction.spent.spend("code", "old", now=NOW)
        transaction.spent.spend("code", "new", now=NOW + day)
        assert transaction.spent.purge(NOW + day) == 1
        assert not transaction.spent.spend("code", "new", now=NOW)
        assert transaction.spent.spend("code", "old", now=NOW)
