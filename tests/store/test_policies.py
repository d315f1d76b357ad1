import pytest

from store.database import Database
from store.errors import Conflict
from tests.store.conftest import NOW
from tests.store.race import race


def test_there_is_no_policy_before_the_first(database: Database) -> None:
    with database.reading() as transaction:
        assert transaction.policies.newest() is None
        assert transaction.policies.newest_version() == 0


def test_versions_count_up_and_stay(database: Database) -> None:
    with database.transaction() as transaction:
        first = transaction.policies.store({"rules": [1]}, author="ana", now=NOW)
        second = transaction.policies.store({"rules": [2]}, author="ben", now=NOW)
    with database.reading() as transaction:
        assert transaction.policies.newest() == second
        assert transaction.policies.version(1) == first
        assert transaction.policies.version(3) is None
    assert (first.version, second.version, second.author, second.stored_at) == (1, 2, "ben", NOW)


def test_a_document_that_says_the_same_is_no_new_version(database: Database) -> None:
    with database.transaction() as transaction:
        first = transaction.policies.store({"a": 1, "b": [None, "ü"]}, author="ana", now=NOW)
    with database.transaction() as transaction:
        again = transaction.policies.store({"b": [None, "ü"], "a": 1}, author="ben", now=NOW)
    assert again == first


def test_an_older_document_stored_again_is_a_new_version(database: Database) -> None:
    with database.transaction() as transaction:
        for document in ({"a": 1}, {"a": 2}, {"a": 1}):
            stored = transaction.policies.store(document, author="ana", now=NOW)
    assert stored.version == 3


def test_documents_stored_at_once_all_get_a_version_or_a_conflict(database: Database) -> None:
    def store(number: int) -> int:
        try:
            with database.transaction() as transaction:
                return transaction.policies.store({"number": number}, author="ana", now=NOW).version
        except Conflict:
            return 0

    versions = [version for version in race(store, 8) if version]
    assert sorted(versions) == list(range(1, len(versions) + 1))
    with database.reading() as transaction:
        assert transaction.policies.newest_version() == len(versions)


def test_a_conflict_leaves_nothing_behind(database: Database) -> None:
    def store_twice() -> None:
        with database.transaction() as transaction:
            transaction.policies.newest_version = lambda: 0  # type: ignore[method-assign]
            transaction.policies.store({"a": 1}, author="ana", now=NOW)
            transaction.policies.store({"a": 2}, author="ana", now=NOW)

    with pytest.raises(Conflict):
        store_twice()
    with database.reading() as transaction:
        assert transaction.policies.newest() is None
