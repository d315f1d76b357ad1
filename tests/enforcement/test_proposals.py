import datetime as dt

import pytest

from enforcement.current_policy import CurrentPolicy
from enforcement.policy import Policy, PolicyInvalid
from enforcement.proposals import ProposalRefused, Waiting, approve, put_forward, reject, waiting
from store.audit import AuditAction, AuditEvent
from store.database import Database
from tests.enforcement.conftest import POLICY
from tests.enforcement.making import NOW
from tests.store.race import race

WEAKER = POLICY.replace("times = 2", "times = 5")
STRICTER = POLICY.replace("times = 2", "times = 1")
HOUR = dt.timedelta(hours=1)


def events(database: Database, action: AuditAction) -> tuple[AuditEvent, ...]:
    with database.reading() as transaction:
        return transaction.audit.find(action=action)


def in_force(database: Database) -> int:
    return CurrentPolicy(database).get().version


@pytest.fixture
def proposed(database: Database) -> Waiting:
    put_forward(database, POLICY, author="ana", now=NOW)
    found = put_forward(database, WEAKER, author="ana", now=NOW)
    assert isinstance(found, Waiting)
    return found


def test_the_first_version_and_a_stricter_one_are_in_force_at_once(database: Database) -> None:
    assert isinstance(put_forward(database, POLICY, author="ana", now=NOW), Policy)
    assert isinstance(put_forward(database, STRICTER, author="ana", now=NOW), Policy)
    assert in_force(database) == 2
    assert waiting(database) == ()


def test_a_weaker_version_waits_and_is_audited(database: Database, proposed: Waiting) -> None:
    assert in_force(database) == 1
    assert {each.what for each in proposed.weaker} == {"postpone"}
    (event,) = events(database, AuditAction.POLICY_PROPOSED)
    assert event.detail == {"number": 1, "author": "ana", "weaker": "postpone"}


def test_power_opened_by_the_file_waits_for_two_people_and_is_named(database: Database) -> None:
    put_forward(database, POLICY, author="", now=NOW)
    found = put_forward(database, f'opened = ["cn=helpdesk"]\n{POLICY}', author="", now=NOW)
    assert isinstance(found, Waiting)
    assert [each.told for each in found.weaker] == ["opened (cn=helpdesk)"]
    (event,) = events(database, AuditAction.POLICY_PROPOSED)
    assert event.detail["weaker"] == "opened (cn=helpdesk)"
    assert not CurrentPolicy(database).get().opens("cn=helpdesk")
    for author in ("ana", "ben"):
        approve(database, found.number, author=author, now=NOW + HOUR, delay=HOUR)
    assert CurrentPolicy(database).get().opens("CN=Helpdesk")


def test_who_proposed_it_cannot_approve_it(database: Database, proposed: Waiting) -> None:
    with pytest.raises(ProposalRefused, match="same_person"):
        approve(database, proposed.number, author="ana", now=NOW + HOUR, delay=HOUR)
    assert in_force(database) == 1


def test_a_second_person_approves_it_after_the_delay(database: Database, proposed: Waiting) -> None:
    with pytest.raises(ProposalRefused) as early:
        approve(database, proposed.number, author="ben", now=NOW, delay=HOUR)
    assert (early.value.why, early.value.until) == ("too_early", NOW + HOUR)
    approve(database, proposed.number, author="ben", now=NOW + HOUR, delay=HOUR)
    assert in_force(database) == 2
    assert waiting(database) == ()
    (event,) = events(database, AuditAction.POLICY_APPROVED)
    assert event.detail == {"number": 1, "author": "ana", "approved_by": "ben"}


def test_what_was_compared_with_another_version_is_void(database: Database, proposed: Waiting) -> None:
    put_forward(database, STRICTER, author="ana", now=NOW)
    with pytest.raises(ProposalRefused, match="outdated"):
        approve(database, proposed.number, author="ben", now=NOW + HOUR, delay=HOUR)
    assert in_force(database) == 2
    assert waiting(database) == ()


def test_a_file_needs_two_people_and_waits_once(database: Database) -> None:
    put_forward(database, POLICY, author="", now=NOW)
    for _start in range(3):
        found = put_forward(database, WEAKER, author="", now=NOW)
        assert isinstance(found, Waiting)
    assert len(waiting(database)) == len(events(database, AuditAction.POLICY_PROPOSED)) == 1
    assert isinstance(approve(database, 1, author="ana", now=NOW + HOUR, delay=HOUR), Waiting)
    with pytest.raises(ProposalRefused, match="same_person"):
        approve(database, 1, author="ana", now=NOW + HOUR, delay=HOUR)
    assert isinstance(approve(database, 1, author="ben", now=NOW + HOUR, delay=HOUR), Policy)
    assert isinstance(put_forward(database, WEAKER, author="", now=NOW), Policy)


def test_a_rejected_version_is_gone_and_audited(database: Database, proposed: Waiting) -> None:
    reject(database, proposed.number, author="ben", now=NOW)
    assert waiting(database) == ()
    assert events(database, AuditAction.POLICY_REJECTED)[0].detail == {"number": 1, "author": "ben"}
    for refused in (approve, reject):
        more = {"delay": HOUR} if refused is approve else {}
        with pytest.raises(ProposalRefused, match="unknown"):
            refused(database, proposed.number, author="ben", now=NOW, **more)  # type: ignore[arg-type]


def test_many_approvals_at_once_are_one_version(database: Database, proposed: Waiting) -> None:
    def approved(number: int) -> bool:
        try:
            approve(database, proposed.number, author=f"person {number}", now=NOW + HOUR, delay=HOUR)
        except ProposalRefused:
            return False
        return True

    assert sum(race(approved, 6)) == 1
    assert in_force(database) == 2


def test_a_document_with_problems_waits_nowhere(database: Database) -> None:
    put_forward(database, POLICY, author="ana", now=NOW)
    with pytest.raises(PolicyInvalid):
        put_forward(database, WEAKER.replace("times = 5", "times = -5"), author="ana", now=NOW)
    assert waiting(database) == ()
