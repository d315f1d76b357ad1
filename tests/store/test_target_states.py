import pytest
from sqlalchemy import text

from store.database import Database
from store.target_states import TargetState
from tests.store.conftest import MINUTE, NOW
from tests.store.race import race


@pytest.fixture
def person_id(database: Database) -> str:
    with database.transaction() as transaction:
        return transaction.people.ensure("issuer", "jane", now=NOW).id


def test_the_newest_result_of_each_target_is_kept(database: Database, person_id: str) -> None:
    with database.transaction() as transaction:
        transaction.target_states.note(person_id, {"corp": "written", "branch": "later"}, now=NOW)
    with database.transaction() as transaction:
        transaction.target_states.note(person_id, {"branch": "written"}, now=NOW + MINUTE)
    with database.reading() as transaction:
        assert transaction.target_states.of(person_id) == (
            TargetState("branch", "written", NOW + MINUTE),
            TargetState("corp", "written", NOW),
        )


def test_results_that_come_at_once_leave_one(database: Database, person_id: str) -> None:
    def note(number: int) -> None:
        with database.transaction() as transaction:
            transaction.target_states.note(person_id, {"corp": f"state-{number}"}, now=NOW)

    race(note)
    with database.reading() as transaction:
        assert len(transaction.target_states.of(person_id)) == 1


def test_what_is_forgotten_is_one_persons(database: Database, person_id: str) -> None:
    with database.transaction() as transaction:
        other = transaction.people.ensure("issuer", "bob", now=NOW).id
        for each in (person_id, other):
            transaction.target_states.note(each, {"corp": "written"}, now=NOW)
        transaction.target_states.forget(person_id)
    with database.reading() as transaction:
        assert transaction.target_states.of(person_id) == ()
        assert len(transaction.target_states.of(other)) == 1


def test_results_go_with_their_person(database: Database, person_id: str) -> None:
    with database.transaction() as transaction:
        transaction.target_states.note(person_id, {"corp": "written"}, now=NOW)
    with database._engine.begin() as connection:
        connection.execute(text("DELETE FROM people"))
    with database.reading() as transaction:
        assert transaction.target_states.of(person_id) == ()
