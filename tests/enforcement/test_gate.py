import dataclasses
import datetime as dt
import sqlite3
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from enforcement.breaker import Breaker
from enforcement.current_policy import CurrentPolicy, NoPolicy, adopt
from enforcement.decision import Decision, Deny, Interrupt, Release
from enforcement.gate import Gate
from enforcement.policy import GroupsUnknown
from enforcement.situation import Situation
from store.audit import AuditAction, AuditEvent
from store.database import Database
from store.errors import StoreUnavailable
from store.people import Person
from tests.enforcement.making import DAY, NOW

ISSUER = "https://idp.example"
NOBODY: frozenset[str] = frozenset()
FINANCE = frozenset({"finance"})

pytestmark = pytest.mark.usefixtures("policy")


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database)


def ask(
    gate: Gate,
    *,
    subject: str = "ana",
    session: str = "s",
    groups: frozenset[str] | None = NOBODY,
    now: dt.datetime = NOW,
) -> Decision:
    return gate.ask(sign_in(subject, groups=groups, now=now), session_id=session, reference="R-1")


def sign_in(
    subject: str = "ana",
    *,
    source: str = ISSUER,
    groups: frozenset[str] | None = NOBODY,
    client_id: str = "wiki",
    now: dt.datetime = NOW,
) -> Situation:
    return Situation(source=source, subject=subject, groups=groups, roles=NOBODY, client_id=client_id, at=now)


def ensure(database: Database, subject: str = "ana") -> Person:
    with database.transaction() as transaction:
        return transaction.people.ensure(ISSUER, subject, now=NOW)


def register(database: Database, kind: str = "email", *, trusted_from: dt.datetime = NOW) -> str:
    person = ensure(database)
    with database.transaction() as transaction:
        return transaction.authenticators.add(
            person.id, kind, b"secret", now=NOW, trusted_from=trusted_from, provenance="self"
        ).id


def events(database: Database) -> list[AuditEvent]:
    with database.reading() as transaction:
        found = transaction.audit.find()
    return [event for event in found if event.action is not AuditAction.POLICY_STORED]


def test_somebody_new_is_held_and_the_event_tells_why(gate: Gate, database: Database) -> None:
    decision = ask(gate)
    assert isinstance(decision, Interrupt)
    (event,) = events(database)
    assert (event.action, event.at, event.reference) == (AuditAction.SIGN_IN_GATE_INTERRUPTED, NOW, "R-1")
    assert event.detail == {"reason": "unregistered", "rule": "Everyone", "client": "wiki"}
    assert event.person_id == ensure(database).id


def test_somebody_registered_is_let_go_and_nothing_is_written(gate: Gate, database: Database) -> None:
    register(database)
    version = gate.current_policy().version
    assert ask(gate) == Release("covered", policy_version=version, person_epoch=0)
    assert events(database) == []


def test_a_release_writes_nothing_even_while_another_holds_the_only_writers_lock(
    gate: Gate, database: Database, tmp_path: Path
) -> None:
    register(database)
    writer = sqlite3.connect(tmp_path / "lasting.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert isinstance(ask(gate), Release)
    writer.close()


def test_the_epoch_of_a_release_grows_when_something_was_voided(gate: Gate, database: Database) -> None:
    register(database)
    with database.transaction() as transaction:
        transaction.people.bump_epoch(transaction.people.ensure(ISSUER, "ana", now=NOW).id)
    decision = ask(gate)
    assert isinstance(decision, Release)
    assert decision.person_epoch == 1


def test_a_first_binding_satisfies_the_gate_at_once(gate: Gate, database: Database) -> None:
    register(database, trusted_from=NOW + DAY)
    assert isinstance(ask(gate), Release)


def test_what_is_suspended_does_not_satisfy_the_gate(gate: Gate, database: Database) -> None:
    authenticator = register(database)
    with database.transaction() as transaction:
        transaction.authenticators.suspend(authenticator, now=NOW)
    assert isinstance(ask(gate), Interrupt)


def test_a_frozen_person_is_held(gate: Gate, database: Database) -> None:
    register(database)
    person = ensure(database)
    with database.transaction() as transaction:
        transaction.people.freeze(person.id, now=NOW)
    assert isinstance(ask(gate), Interrupt)


def test_after_the_days_of_the_rule_one_confirmation_restarts_the_clock(
    gate: Gate, database: Database
) -> None:
    register(database)
    later = NOW + 180 * DAY
    decision = ask(gate, now=later)
    assert isinstance(decision, Interrupt)
    assert decision.reason == "stale"
    person = ensure(database)
    with database.transaction() as transaction:
        transaction.authenticators.confirm_all(person.id, now=later)
    assert isinstance(ask(gate, now=later + 179 * DAY), Release)


def test_who_no_rule_asks_anything_of_is_let_go_unseen(gate: Gate, database: Database) -> None:
    assert ask(gate, groups=frozenset({"robots"})) == Release("not_covered")
    with database.reading() as transaction:
        assert transaction.people.by_subject(ISSUER, "ana") is None


def test_the_rule_of_the_persons_groups_decides(gate: Gate, database: Database) -> None:
    register(database)
    assert isinstance(ask(gate), Release)
    decision = ask(gate, groups=FINANCE)
    assert isinstance(decision, Interrupt)
    assert decision.rule_name == "Finance"


def test_unknown_groups_are_asked_for(gate: Gate) -> None:
    with pytest.raises(GroupsUnknown):
        ask(gate, groups=None)


def test_a_person_is_known_by_issuer_and_subject_together(gate: Gate, database: Database) -> None:
    register(database)
    other = gate.ask(sign_in(source="https://other.example"), session_id="s")
    assert isinstance(other, Interrupt)


def test_without_a_policy_nothing_is_decided(tmp_path: Path, database: Database) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db", database._vault)
    empty.upgrade()
    with pytest.raises(NoPolicy):
        ask(Gate(empty))
    empty.dispose()


def test_later_in_any_order_is_let_go_exactly_as_the_policy_says(gate: Gate, database: Database) -> None:
    person = ensure(database)

    class Later(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.sessions: set[str] = set()
            with database.transaction() as transaction:
                transaction.people.clear_postponements(person.id)

        @rule(session=st.sampled_from("abcd"))
        def sign_in_and_say_later_where_it_may_be_said(self, session: str) -> None:
            decision = ask(gate, session=session)
            if session in self.sessions:
                assert decision == Release("postponed")
                return
            assert isinstance(decision, Interrupt)
            assert decision.postponement.left == 2 - len(self.sessions)
            if decision.postponement.allowed:
                self.sessions.add(session)
                with database.transaction() as transaction:
                    transaction.people.postpone(person.id, session, now=NOW)
                assert ask(gate, session=session) == Release("postponed")

        @rule()
        def become_complete(self) -> None:
            self.sessions = set()
            with database.transaction() as transaction:
                transaction.people.clear_postponements(person.id)

    run_state_machine_as_test(
        Later, settings=settings(max_examples=15, stateful_step_count=12, deadline=None)
    )


def broken(gate: Gate, database: Database, tmp_path: Path) -> sqlite3.Connection:
    """Learn the policy, then let the database answer nothing more."""
    gate.current_policy()
    database.dispose()
    connection = sqlite3.connect(tmp_path / "lasting.db", isolation_level=None)
    connection.execute("ALTER TABLE people RENAME TO people_away")
    return connection


def test_a_store_that_does_not_answer_is_never_a_decision(
    gate: Gate, database: Database, tmp_path: Path
) -> None:
    broken(gate, database, tmp_path).close()
    with pytest.raises(StoreUnavailable):
        ask(gate)
    assert gate.breaker.failed()


def test_a_fault_is_answered_by_the_rule_that_was_last_known(
    gate: Gate, database: Database, tmp_path: Path
) -> None:
    broken(gate, database, tmp_path).close()
    assert gate.answer_fault(sign_in(groups=NOBODY)) == Release("fault")
    assert gate.answer_fault(sign_in(groups=FINANCE)) == Deny("fault")


STRICTEST_IS_SECOND = """
[[rules]]
name = "Robots"
required = false
[rules.who]
groups = ["robots"]

[[rules]]
name = "Finance"
on_fault = "deny"
[rules.who]
groups = ["finance"]
"""


def test_a_fault_with_unknown_groups_is_answered_as_the_strictest_rule_says(
    gate: Gate, database: Database
) -> None:
    gate.current_policy()
    assert gate.answer_fault(sign_in(groups=None)) == Deny("fault")
    adopt(database, STRICTEST_IS_SECOND, author="tests", now=NOW)
    newer = Gate(database)
    newer.current_policy()
    assert newer.answer_fault(sign_in(groups=None)) == Deny("fault")
    assert newer.answer_fault(sign_in(groups=NOBODY)) == Release("fault")


def test_a_fault_before_any_policy_was_read_is_denied(gate: Gate) -> None:
    assert gate.answer_fault(sign_in(groups=NOBODY)) == Deny("fault")


def test_a_fault_where_nothing_is_asked_is_released(gate: Gate) -> None:
    gate.current_policy()
    assert gate.on_fault(None) == Release("fault")
    assert gate.answer_fault(sign_in(groups=frozenset({"robots"}))) == Release("fault")


def statements_of(database: Database) -> list[str]:
    """What this thread's connection of the gate is asked from now on."""
    asked: list[str] = []
    database.gate_facts("", "")
    database._gate._connections.get().set_trace_callback(asked.append)  # type: ignore[attr-defined]
    return asked


def test_somebody_covered_costs_one_statement(gate: Gate, database: Database) -> None:
    register(database)
    gate.current_policy()
    asked = statements_of(database)
    hidden = dataclasses.replace(sign_in(), client_id="", address="", protocol="")
    for situation in (sign_in(), hidden):
        assert isinstance(gate.ask(situation, session_id="s"), Release)
    assert len(asked) == 2


ABSENT = """
[[rules]]
name = "Everyone"
kinds = ["email"]
reconfirm_days = 0
reconfirm_absence_days = 90
[rules.who]
everyone = true
"""


def test_who_was_away_for_long_is_asked_once(gate: Gate, database: Database) -> None:
    adopt(database, ABSENT, author="tests", now=NOW)
    register(database)
    assert isinstance(ask(gate, now=NOW + 400 * DAY), Release)
    gate.sightings.wait()
    back = NOW + 490 * DAY
    for _ in range(2):
        assert isinstance(ask(gate, now=back), Interrupt)
        gate.sightings.wait()
    person = ensure(database)
    with database.transaction() as transaction:
        transaction.authenticators.confirm_all(person.id, now=back)
    assert isinstance(ask(gate, now=back), Release)


def test_who_comes_every_month_is_never_away(gate: Gate, database: Database) -> None:
    adopt(database, ABSENT, author="tests", now=NOW)
    register(database)
    for month in range(5):
        assert isinstance(ask(gate, now=NOW + month * 80 * DAY), Release)
        gate.sightings.wait()


def test_that_somebody_was_seen_is_written_once_a_day_and_beside_the_sign_in(
    gate: Gate, database: Database, tmp_path: Path
) -> None:
    adopt(database, ABSENT, author="tests", now=NOW)
    register(database)
    writer = sqlite3.connect(tmp_path / "lasting.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert isinstance(ask(gate), Release)
    writer.execute("COMMIT")
    writer.close()
    gate.sightings.wait()
    assert ensure(database).seen_at == NOW
    ask(gate, now=NOW + DAY / 2)
    gate.sightings.wait()
    assert ensure(database).seen_at == NOW


TRIED_OUT = """
[maintenance]
begins = 2026-04-01T00:00:00Z
until = 2026-04-02T00:00:00Z

[[rules]]
name = "Tried out"
report_only = true
kinds = ["totp"]
[rules.who]
everyone = true

[[rules]]
name = "Everyone"
kinds = ["email"]
reconfirm_days = 0
[rules.who]
everyone = true
"""


def test_what_a_rule_in_report_only_would_do_is_audited_and_lets_go(gate: Gate, database: Database) -> None:
    adopt(database, TRIED_OUT, author="tests", now=NOW)
    register(database)
    decision = ask(gate)
    assert isinstance(decision, Release)
    assert (decision.reason, decision.reported) == ("covered", ("Tried out",))
    (event,) = events(database)
    assert (event.action, event.reference) == (AuditAction.SIGN_IN_GATE_REPORTED, "R-1")
    assert event.detail == {"reason": "unregistered", "rule": "Tried out", "client": "wiki"}
    assert event.person_id == ensure(database).id


def test_what_maintenance_withholds_is_audited(gate: Gate, database: Database) -> None:
    adopt(database, TRIED_OUT, author="tests", now=NOW)
    begins = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    decision = ask(gate, now=begins)
    assert isinstance(decision, Release)
    assert decision.reason == "maintenance"
    found = {event.action: event.detail["rule"] for event in events(database)}
    assert found == {
        AuditAction.SIGN_IN_GATE_REPORTED: "Tried out",
        AuditAction.SIGN_IN_GATE_WITHHELD: "Everyone",
    }
    assert isinstance(ask(gate, now=begins + DAY), Interrupt)


def test_a_report_that_cannot_be_written_changes_nothing(
    gate: Gate, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    adopt(database, TRIED_OUT, author="tests", now=NOW)
    register(database)
    writer = sqlite3.connect(tmp_path / "lasting.db", isolation_level=None)
    writer.execute("ALTER TABLE audit_events RENAME TO audit_events_away")
    assert isinstance(ask(gate), Release)
    writer.close()
    assert "Tried out" in caplog.text


LIMITED = """
[[rules]]
name = "Payroll"
on_fault = "deny"
[rules.who]
groups = ["staff"]
clients = ["payroll"]

[[rules]]
name = "Everyone"
[rules.who]
everyone = true
"""


def test_a_fault_for_an_unknown_client_is_answered_as_for_the_strictest_that_rules_name(
    gate: Gate, database: Database
) -> None:
    adopt(database, LIMITED, author="tests", now=NOW)
    assert gate.current_policy().rules[0].name == "Payroll"
    staff = frozenset({"staff"})
    assert gate.answer_fault(sign_in(groups=staff, client_id="payroll")) == Deny("fault")
    assert gate.answer_fault(sign_in(groups=staff, client_id="wiki")) == Release("fault")
    assert gate.answer_fault(sign_in(groups=staff, client_id="")) == Deny("fault")
    assert gate.answer_fault(sign_in(client_id="")) == Release("fault")


def test_faults_are_audited_once_the_store_answers_again(
    gate: Gate, database: Database, tmp_path: Path
) -> None:
    register(database)
    connection = broken(gate, database, tmp_path)
    connection.execute("ALTER TABLE audit_events RENAME TO audit_events_away")
    gate.answer_fault(sign_in(groups=NOBODY, client_id="wiki", now=NOW), reference="R-1")
    gate.answer_fault(sign_in(groups=FINANCE, client_id="wiki", now=NOW + DAY), reference="R-2")
    gate._faults.write()
    connection.execute("ALTER TABLE people_away RENAME TO people")
    connection.execute("ALTER TABLE audit_events_away RENAME TO audit_events")
    connection.close()
    for _ in range(2):
        assert isinstance(ask(gate), Release)
    assert [(event.action, event.reference, event.at, event.detail) for event in events(database)] == [
        (AuditAction.SIGN_IN_GATE_FAULT_DENIED, "R-2", NOW + DAY, {"client": "wiki"}),
        (AuditAction.SIGN_IN_GATE_FAULT_RELEASED, "R-1", NOW, {"client": "wiki"}),
    ]


def test_the_gates_own_breaker_watches_the_database(gate: Gate, database: Database) -> None:
    assert not gate.breaker.failed()
    given = Breaker([])
    assert Gate(database, policies=CurrentPolicy(database), breaker=given).breaker is given
