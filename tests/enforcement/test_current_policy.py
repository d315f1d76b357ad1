import pytest

from enforcement.current_policy import CurrentPolicy, NoPolicy, adopt
from enforcement.policy import PolicyInvalid
from store.audit import AuditAction
from store.database import Database
from store.errors import StoreUnavailable
from tests.enforcement.conftest import POLICY
from tests.enforcement.making import NOW

OTHER = POLICY.replace("times = 2", "times = 5")


class Clock:
    def __init__(self) -> None:
        self.second = 0.0

    def __call__(self) -> float:
        return self.second


def test_a_document_comes_into_force_with_a_version_and_an_event(database: Database) -> None:
    adopted = adopt(database, POLICY, author="ana", now=NOW)
    assert adopted.version == 1
    assert CurrentPolicy(database).get() == adopted
    with database.reading() as transaction:
        (event,) = transaction.audit.find(action=AuditAction.POLICY_STORED)
    assert event.detail == {"version": 1, "author": "ana"}


def test_the_same_document_again_changes_nothing(database: Database) -> None:
    for _ in range(2):
        adopted = adopt(database, "# a comment says nothing\n" + POLICY, author="ana", now=NOW)
    assert adopted.version == 1
    with database.reading() as transaction:
        assert len(transaction.audit.find(action=AuditAction.POLICY_STORED)) == 1


def test_another_document_is_the_next_version(database: Database) -> None:
    adopt(database, POLICY, author="ana", now=NOW)
    assert adopt(database, OTHER, author="ben", now=NOW).version == 2
    assert CurrentPolicy(database).get().rules[-1].postpone.times == 5


def test_a_document_that_is_wrong_stays_out_of_force(database: Database) -> None:
    adopt(database, POLICY, author="ana", now=NOW)
    with pytest.raises(PolicyInvalid):
        adopt(database, POLICY.replace("times = 2", "times = -2"), author="ana", now=NOW)
    assert CurrentPolicy(database).get().version == 1


def test_before_the_first_there_is_none(database: Database) -> None:
    current = CurrentPolicy(database)
    with pytest.raises(NoPolicy):
        current.get()
    assert current.last_known() is None
    adopt(database, POLICY, author="ana", now=NOW)
    assert current.get().version == 1


def test_a_newer_version_is_in_force_within_a_second(database: Database) -> None:
    clock = Clock()
    current = CurrentPolicy(database, clock=clock)
    adopt(database, POLICY, author="ana", now=NOW)
    assert current.get().version == 1
    adopt(database, OTHER, author="ana", now=NOW)
    clock.second = 0.99
    assert current.get().version == 1
    clock.second = 1.0
    assert current.get().version == 2


def test_what_is_fresh_is_answered_without_the_database_and_what_is_not_is_refused(
    database: Database,
) -> None:
    clock = Clock()
    current = CurrentPolicy(database, clock=clock)
    adopt(database, POLICY, author="ana", now=NOW)
    current.get()
    with database._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE policies RENAME TO away")
    clock.second = 0.5
    assert current.get().version == 1
    clock.second = 2
    with pytest.raises(StoreUnavailable):
        current.get()
    known = current.last_known()
    assert known is not None
    assert known.version == 1


def test_a_version_that_a_newer_gateway_stored_leaves_the_one_before_in_force(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    current = CurrentPolicy(database, clock=clock)
    adopt(database, POLICY, author="ana", now=NOW)
    current.get()
    with database.transaction() as transaction:
        transaction.policies.store({"rules": [{"from": "the future"}]}, author="ben", now=NOW)
    clock.second = 2
    assert current.get().version == 1
    assert "policy 2 is not understood" in caplog.text
    with pytest.raises(PolicyInvalid):
        CurrentPolicy(database).get()


def test_a_rule_that_asks_for_a_version_to_come_asks_for_this_one(database: Database) -> None:
    for below in (1, 9):
        document = POLICY.replace("reconfirm_days = 180", f"reconfirm_below_version = {below}")
        adopt(database, document, author="ana", now=NOW)
    assert CurrentPolicy(database).get().rules[-1].reconfirm_below_version == 2
