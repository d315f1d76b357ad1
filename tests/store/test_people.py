import datetime as dt

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from store.database import Database
from store.people import Doubt, Evidence, Person, Postponements, session_digest
from tests.store.conftest import NOW
from tests.store.race import race


def reread(database: Database, person: Person) -> Person:
    with database.reading() as transaction:
        found = transaction.people.get(person.id)
    assert found is not None
    return found


def test_somebody_new_gets_a_record_and_keeps_it(database: Database) -> None:
    with database.transaction() as transaction:
        first = transaction.people.ensure("idp", "new", now=NOW)
    with database.transaction() as transaction:
        again = transaction.people.ensure("idp", "new", now=NOW + dt.timedelta(days=1))
        assert transaction.people.by_subject("idp", "new") == first == again
    assert (first.epoch, first.registered_at, first.frozen_at) == (0, None, None)


def test_the_same_subject_of_another_source_is_somebody_else(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        other = transaction.people.ensure("https://other.example", person.subject, now=NOW)
    assert other.id != person.id


def test_subjects_are_told_apart_by_case_and_by_look_alikes(database: Database) -> None:
    subjects = ["ana", "Ana", "ana ", "\u0430na", "an\u0061\u0301", "an\u00e1"]
    with database.transaction() as transaction:
        people = {transaction.people.ensure("idp", subject, now=NOW).id for subject in subjects}
    assert len(people) == len(subjects)


def test_of_sixteen_who_see_somebody_first_all_get_the_same_record(database: Database) -> None:
    def see(_: int) -> str:
        with database.transaction() as transaction:
            return transaction.people.ensure("idp", "raced", now=NOW).id

    assert len(set(race(see))) == 1


def test_nobody_is_found_for_unknown_ids(database: Database) -> None:
    with database.reading() as transaction:
        assert transaction.people.get("unknown") is None
        assert transaction.people.by_subject("idp", "unknown") is None


def test_the_same_session_postpones_once(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        assert transaction.people.postpone(person.id, "s1", now=NOW) == 1
        assert transaction.people.postpone(person.id, "s1", now=NOW + dt.timedelta(days=1)) == 1
        assert transaction.people.postpone(person.id, "s2", now=NOW + dt.timedelta(days=2)) == 2
        found = transaction.people.postponements(person.id)
    assert found == Postponements(2, NOW, frozenset({session_digest("s1"), session_digest("s2")}))
    assert found.includes("s1")
    assert not found.includes("s3")


def test_the_session_id_itself_is_not_kept(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        transaction.people.postpone(person.id, "a telltale session id", now=NOW)
        assert "telltale" not in str(transaction.people.postponements(person.id))


def test_a_sign_in_without_a_session_cannot_postpone(database: Database, person: Person) -> None:
    with pytest.raises(ValueError, match="session"), database.transaction() as transaction:
        transaction.people.postpone(person.id, "", now=NOW)
    assert not Postponements(1, NOW, frozenset({session_digest("")})).includes("")


def test_postponements_are_forgotten_for_one_person_only(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        other = transaction.people.ensure("idp", "other", now=NOW)
        for one in (person, other):
            transaction.people.postpone(one.id, "s1", now=NOW)
        transaction.people.clear_postponements(person.id)
        assert transaction.people.postponements(person.id) == Postponements()
        assert transaction.people.postponements(other.id).count == 1


def test_sixteen_tabs_of_one_session_postpone_once(database: Database, person: Person) -> None:
    def later(_: int) -> int:
        with database.transaction() as transaction:
            return transaction.people.postpone(person.id, "one session", now=NOW)

    assert set(race(later)) == {1}


def test_freezing_keeps_its_first_time_and_voids_what_was_said(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        transaction.people.freeze(person.id, now=NOW)
        transaction.people.freeze(person.id, now=NOW + dt.timedelta(days=1))
    frozen = reread(database, person)
    assert frozen.frozen_at == NOW
    assert frozen.epoch > person.epoch
    with database.transaction() as transaction:
        transaction.people.unfreeze(person.id)
    thawed = reread(database, person)
    assert thawed.frozen_at is None
    assert thawed.epoch > frozen.epoch


def test_the_epoch_grows_by_one_for_everybody_who_asks_at_once(database: Database, person: Person) -> None:
    def bump(_: int) -> None:
        with database.transaction() as transaction:
            transaction.people.bump_epoch(person.id)

    race(bump)
    assert reread(database, person).epoch == 16


def test_postponements_in_any_order_are_what_a_set_of_sessions_would_be(
    database: Database, person: Person
) -> None:
    class Later(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.expected: dict[str, dt.datetime] = {}
            self.now = NOW
            with database.transaction() as transaction:
                transaction.people.clear_postponements(person.id)

        @rule(session=st.sampled_from("abcdef"), passed=st.integers(0, 10**6))
        def postpone(self, session: str, passed: int) -> None:
            self.now += dt.timedelta(seconds=passed)
            self.expected.setdefault(session, self.now)
            with database.transaction() as transaction:
                count = transaction.people.postpone(person.id, session, now=self.now)
            assert count == len(self.expected)

        @rule()
        def register(self) -> None:
            self.expected = {}
            with database.transaction() as transaction:
                transaction.people.clear_postponements(person.id)

        @invariant()
        def the_gate_and_the_portal_read_the_same(self) -> None:
            facts = database.gate_facts(person.source, person.subject)
            with database.reading() as transaction:
                portal = transaction.people.postponements(person.id)
            assert facts is not None
            assert facts.postponements == portal
            assert portal.sessions == {session_digest(session) for session in self.expected}
            assert portal.first_at == min(self.expected.values(), default=None)

    run_state_machine_as_test(
        Later, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )


def test_a_doubt_is_kept_once_for_each_reason_with_its_newest_time(
    database: Database, person: Person
) -> None:
    later = NOW + dt.timedelta(days=1)
    with database.transaction() as transaction:
        assert transaction.people.doubts(person.id) == ()
        transaction.people.doubt(person.id, Evidence.UNDELIVERABLE, now=NOW)
        transaction.people.doubt(person.id, Evidence.ASKED, now=NOW)
        transaction.people.doubt(person.id, Evidence.UNDELIVERABLE, now=later)
        doubts = transaction.people.doubts(person.id)
    assert doubts == (Doubt("asked", NOW), Doubt("undeliverable", later))
    assert reread(database, person).epoch == person.epoch


def test_when_somebody_was_seen_never_goes_back(database: Database, person: Person) -> None:
    for moment in (NOW, NOW + dt.timedelta(days=2), NOW + dt.timedelta(days=1)):
        with database.transaction() as transaction:
            transaction.people.seen({person.id: moment, "nobody": moment})
    assert reread(database, person).seen_at == NOW + dt.timedelta(days=2)
