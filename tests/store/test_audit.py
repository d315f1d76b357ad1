import ast
import datetime as dt
import inspect
import re

from store import audit
from store.audit import AuditAction
from store.database import Database
from store.people import Person
from tests.store.conftest import NOW, rolled_back

SECOND = dt.timedelta(seconds=1)


def test_events_come_back_whole_and_newest_first(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        transaction.audit.record(
            AuditAction.RESET_CODE_SENT,
            now=NOW,
            person_id=person.id,
            reference="R-1",
            detail={"kind": "email", "left": 2, "late": False},
        )
        transaction.audit.record(AuditAction.RESET_PROOF_GIVEN, now=NOW + SECOND, person_id=person.id)
    with database.reading() as transaction:
        newest, oldest = transaction.audit.recent(person.id)
    assert newest.action is AuditAction.RESET_PROOF_GIVEN
    assert (oldest.at, oldest.action, oldest.person_id, oldest.reference, oldest.detail) == (
        NOW,
        AuditAction.RESET_CODE_SENT,
        person.id,
        "R-1",
        {"kind": "email", "left": 2, "late": False},
    )


def test_events_are_found_by_what_is_given(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        transaction.audit.record(AuditAction.NOTICE_SENT, now=NOW, reference="R-1")
        transaction.audit.record(AuditAction.NOTICE_SENT, now=NOW + SECOND, reference="R-2")
        transaction.audit.record(AuditAction.NOTICE_FAILED, now=NOW, person_id=person.id)
    with database.reading() as transaction:
        find = transaction.audit.find
        assert [event.reference for event in find(action=AuditAction.NOTICE_SENT)] == ["R-2", "R-1"]
        assert len(find(reference="R-1")) == 1
        assert len(find(person_id=person.id)) == 1
        assert [event.reference for event in find(since=NOW + SECOND)] == ["R-2"]
        assert len(find(limit=2)) == 2


def test_an_event_vanishes_with_its_transaction(database: Database) -> None:
    with rolled_back(database) as transaction:
        transaction.audit.record(AuditAction.NOTICE_SENT, now=NOW)
    with database.reading() as transaction:
        assert transaction.audit.find() == ()


def test_every_action_is_object_subject_action_and_says_what_it_means() -> None:
    (definition,) = (
        node
        for node in ast.parse(inspect.getsource(audit)).body
        if isinstance(node, ast.ClassDef) and node.name == "AuditAction"
    )
    pairs = zip(definition.body[1::2], definition.body[2::2], strict=True)
    assert all(isinstance(first, ast.Assign) and isinstance(second, ast.Expr) for first, second in pairs)
    assert all(re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z_]+", action.value) for action in AuditAction)
