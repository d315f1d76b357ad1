import datetime as dt

import pytest

from store.database import Database
from store.gate_facts import AuthenticatorFact, GateFacts
from store.people import Doubt, Evidence, Person, Postponements, session_digest
from tests.store.conftest import NOW

DAY = dt.timedelta(days=1)


def test_somebody_never_seen_has_no_facts(database: Database, person: Person) -> None:
    assert database.gate_facts(person.source, "never seen") is None
    assert database.gate_facts("https://other.example", person.subject) is None


def test_somebody_who_registered_nothing_has_facts_without_authenticators(
    database: Database, person: Person
) -> None:
    assert database.gate_facts(person.source, person.subject) == GateFacts(person.id, epoch=0, frozen=False)


def test_everything_that_the_gate_asks_comes_in_one_answer(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        for kind in ("email", "totp"):
            transaction.authenticators.add(
                person.id, kind, b"secret", now=NOW, trusted_from=NOW + DAY, provenance="self"
            )
        suspended = transaction.authenticators.of(person.id)[1]
        transaction.authenticators.suspend(suspended.id, now=NOW)
        transaction.people.postpone(person.id, "s1", now=NOW + DAY)
        transaction.people.postpone(person.id, "s2", now=NOW)
        transaction.people.freeze(person.id, now=NOW)
        transaction.people.doubt(person.id, Evidence.ASKED, now=NOW)
        transaction.people.doubt(person.id, Evidence.DIRECTORY, now=NOW)
        transaction.people.seen({person.id: NOW + DAY})
    facts = database.gate_facts(person.source, person.subject)
    assert facts is not None
    assert (facts.person_id, facts.epoch, facts.frozen) == (person.id, 2, True)
    assert set(facts.authenticators) == {
        AuthenticatorFact("email", NOW, NOW + DAY, suspended=suspended.kind == "email"),
        AuthenticatorFact("totp", NOW, NOW + DAY, suspended=suspended.kind == "totp"),
    }
    sessions = frozenset({session_digest("s1"), session_digest("s2")})
    assert facts.postponements == Postponements(2, NOW, sessions)
    assert set(facts.doubts) == {Doubt("asked", NOW), Doubt("directory", NOW)}
    assert facts.seen_at == NOW + DAY


@pytest.mark.parametrize("said", ["later", "doubt"])
def test_a_doubt_is_told_without_a_postponement_and_the_reverse(
    database: Database, person: Person, said: str
) -> None:
    with database.transaction() as transaction:
        if said == "later":
            transaction.people.postpone(person.id, "s1", now=NOW)
        else:
            transaction.people.doubt(person.id, Evidence.ASKED, now=NOW)
    facts = database.gate_facts(person.source, person.subject)
    assert facts is not None
    assert (facts.postponements.count, len(facts.doubts)) == ((1, 0) if said == "later" else (0, 1))


def test_what_was_just_committed_is_seen_at_once(database: Database, person: Person) -> None:
    for number in range(5):
        with database.transaction() as transaction:
            transaction.people.postpone(person.id, f"session {number}", now=NOW)
        facts = database.gate_facts(person.source, person.subject)
        assert facts is not None
        assert facts.postponements.count == number + 1


def test_one_persons_facts_never_hold_anothers(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        other = transaction.people.ensure("idp", "other", now=NOW)
        transaction.authenticators.add(
            other.id, "email", b"secret", now=NOW, trusted_from=NOW, provenance="self"
        )
        transaction.people.postpone(other.id, "s1", now=NOW)
        transaction.people.doubt(other.id, Evidence.ASKED, now=NOW)
    assert database.gate_facts(person.source, person.subject) == GateFacts(person.id, epoch=0, frozen=False)


@pytest.mark.parametrize("hostile", ["' OR 1=1 --", "%", "\x00", "\ud800", "a" * 10_000, "{0}"])
def test_hostile_subjects_are_nobody(database: Database, person: Person, hostile: str) -> None:
    assert database.gate_facts(person.source, hostile) is None
    assert database.gate_facts(hostile, person.subject) is None


def test_the_version_of_the_policy_at_the_last_confirmation_is_told(
    database: Database, person: Person
) -> None:
    with database.transaction() as transaction:
        transaction.policies.store({"rules": []}, author="ana", now=NOW)
        transaction.authenticators.add(
            person.id, "email", b"secret", now=NOW, trusted_from=NOW, provenance="self"
        )
    facts = database.gate_facts(person.source, person.subject)
    assert facts is not None
    assert facts.authenticators == (
        AuthenticatorFact("email", NOW, NOW, suspended=False, confirmed_version=1),
    )
