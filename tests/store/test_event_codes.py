"""The numbers by which operators of other products know audit events."""

import datetime as dt

from store.audit import AuditAction
from store.database import Database
from store.event_codes import CODES, code_of

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def test_every_number_belongs_to_an_event_of_ours() -> None:
    assert set(CODES) <= {action.value for action in AuditAction}
    assert all(31001 <= code <= 33009 for code in CODES.values())


def test_the_detail_decides_where_it_says_more() -> None:
    failed, refused = "reset:password:failed", "reset:attempt:refused"
    assert [code_of(failed, {"cause": cause}) for cause in ("IdpUnavailable", "NotPermitted", "Other")] == [
        32002,
        33004,
        31003,
    ]
    assert [code_of(refused, {"why": why}) for why in ("disabled", "privileged", "locked", "frozen")] == [
        33005,
        33004,
        33006,
        None,
    ]
    assert code_of("sign_in:gate:released", {}) is None


def test_an_event_carries_its_number(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.audit.record(AuditAction.RESET_PASSWORD_WRITTEN, now=NOW, detail={"proofs": "email"})
        transaction.audit.record(AuditAction.SIGN_IN_GATE_RELEASED, now=NOW)
    with database.reading() as transaction:
        details = {event.action: event.detail for event in transaction.audit.find()}
    assert details == {
        AuditAction.RESET_PASSWORD_WRITTEN: {"proofs": "email", "code": 31002},
        AuditAction.SIGN_IN_GATE_RELEASED: {},
    }
