import datetime as dt
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from enforcement.policy import KINDS, Policy, PolicyInvalid, Rule, from_document
from enforcement.proof import NEVER_FIRST
from enforcement.situation import Situation
from enforcement.weakening import PURPOSES, Weakening, weakenings
from enforcement.who import Who
from tests.enforcement.making import ADDRESSES, NAMES, NOW, PROTOCOLS, a_policy, each_who, rules

SETS = [frozenset(c) for c in chain.from_iterable(combinations(KINDS, n) for n in (1, 2))]


def what(before: Policy, after: Policy) -> set[str]:
    return {each.what for each in weakenings(before, after)}


def one(**fields: Any) -> Policy:
    return a_policy({"kinds": ["email", "totp"], "register": 2, **fields})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"required": True}, {"required": False}, {"required"}),
        ({"register": 2}, {"register": 1}, {"register_count"}),
        ({"reset": 2}, {"reset": 1}, {"reset", "unlock"}),
        ({"reset": 2, "unlock": 2}, {"reset": 2, "unlock": 1}, {"unlock"}),
        ({"reset_weight": 2}, {"reset_weight": 2, "weights": {"totp": 2}}, {"reset", "unlock"}),
        ({"change_kinds": ["totp"]}, {"change_kinds": ["totp", "email"]}, {"change"}),
        ({"kinds": ["email"]}, {"kinds": ["email", "totp"]}, {"kinds", "reset", "unlock", "change"}),
        ({"reset_allowed": False}, {"reset_allowed": True}, {"reset"}),
        ({"reconfirm_days": 30}, {"reconfirm_days": 0}, {"reconfirm_days"}),
        ({"reconfirm_days": 30}, {"reconfirm_days": 60}, {"reconfirm_days"}),
        ({"reconfirm_absence_days": 90}, {"reconfirm_absence_days": 0}, {"reconfirm_absence_days"}),
        ({"reconfirm_below_version": 2}, {"reconfirm_below_version": 1}, {"reconfirm_below_version"}),
        ({"reconfirm_on": ["undeliverable"]}, {"reconfirm_on": []}, {"reconfirm_on"}),
        ({"postpone": {"times": 1}}, {"postpone": {"times": 2}}, {"postpone"}),
        ({"postpone": {"times": 1, "days": 3}}, {"postpone": {"times": 1}}, {"postpone"}),
        ({"on_fault": "deny"}, {"on_fault": "release"}, {"on_fault"}),
        ({"trust_delay_hours": 24}, {"trust_delay_hours": 23}, {"trust_delay_hours"}),
        ({"people_per_address": 1}, {"people_per_address": 2}, {"people_per_address"}),
        ({"notify_person": True}, {"notify_person": False}, {"notify_person"}),
    ],
)  # fmt: skip
def test_what_is_weaker_is_named_and_its_reverse_is_not(
    before: dict[str, Any], after: dict[str, Any], told: set[str]
) -> None:
    assert what(one(**before), one(**after)) == told
    assert what(one(**after), one(**before)) == set()


def test_power_that_is_opened_is_weaker_and_closed_power_is_not() -> None:
    closed = one()
    opened = closed.model_copy(update={"opened": ("cn=helpdesk",)})
    assert weakenings(closed, opened) == (Weakening("", "cn=helpdesk", "opened"),)
    assert what(opened, closed) == set()
    assert what(opened, opened.model_copy(update={"opened": ("CN=Helpdesk",)})) == set()


def test_both_rules_are_named() -> None:
    before = a_policy({"name": "Staff", "trust_delay_hours": 9})
    after = a_policy({"name": "All", "trust_delay_hours": 0})
    assert weakenings(before, after) == (Weakening("Staff", "All", "trust_delay_hours"),)


def test_a_milder_rule_put_before_a_strict_one_is_weaker_for_those_it_takes() -> None:
    strict = {"name": "All", "trust_delay_hours": 24}
    milder = {"name": "Few", "who": {"groups": ["few"]}, "trust_delay_hours": 0}
    assert weakenings(a_policy(strict), a_policy(milder, strict)) == (
        Weakening("All", "Few", "trust_delay_hours"),
    )
    assert what(a_policy(milder, strict), a_policy(strict)) == set()


def test_a_stricter_rule_for_more_people_and_more_applications_is_not_weaker() -> None:
    everyone = {"name": "All", "trust_delay_hours": 0}

    def strict(**who: Any) -> Policy:
        return a_policy({"name": "Strict", "who": who, "trust_delay_hours": 48}, everyone)

    assert what(strict(groups=["a"], clients=["x"]), strict(groups=["a", "b"], clients=["x", "y"])) == set()
    assert what(strict(groups=["a", "b"], clients=["x"]), strict(groups=["a"], clients=["x"])) == {
        "trust_delay_hours"
    }
    assert what(strict(groups=["a"], clients=["x", "y"]), strict(groups=["a"], clients=["x"])) == {
        "trust_delay_hours"
    }


def test_who_has_no_rule_any_more_is_held_no_more() -> None:
    before = a_policy({"name": "A", "who": {"groups": ["a", "b"]}})
    after = a_policy({"name": "A", "who": {"groups": ["a"]}})
    assert weakenings(before, after) == (Weakening("A", "", "required"),)


def test_who_could_not_recover_and_can_now_is_opened() -> None:
    before = a_policy({"name": "A", "who": {"groups": ["a"]}, "reset_allowed": False})
    after = a_policy({"name": "A", "who": {"groups": ["a", "b"]}, "reset_allowed": False})
    assert what(before, after) == {"unlock", "change"}


def test_a_rule_that_only_reports_decides_nothing() -> None:
    assert what(one(), one(report_only=True)) == {"required"}
    closed = {f"{purpose}_allowed": False for purpose in PURPOSES}
    assert what(one(report_only=True), one(required=False, **closed)) == set()


def test_maintenance_is_weaker_unless_it_is_shorter() -> None:
    def during(first: int, last: int) -> Policy:
        day = dt.timedelta(days=1)
        times = {"begins": NOW + first * day, "until": NOW + last * day}
        return Policy.model_validate({**one().document(), "maintenance": times})

    assert what(one(), during(1, 3)) == {"maintenance"}
    assert what(during(1, 3), during(1, 4)) == {"maintenance"}
    assert what(during(1, 3), during(1, 2)) == what(during(1, 3), one()) == set()


def test_a_part_that_nobody_taught_it_is_weaker_when_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enforcement.weakening._FIELDS", {})
    assert what(one(trust_delay_hours=1), one(trust_delay_hours=100)) == {"trust_delay_hours"}


def _policies() -> st.SearchStrategy[Policy]:
    return st.lists(st.tuples(rules(), each_who()), min_size=1, max_size=2).map(_policy)


def _policy(parts: list[tuple[Rule, Who]]) -> Policy:
    named = [
        {**rule.model_dump(mode="json", by_alias=True), "name": f"Rule {number}", "who": who}
        for number, (rule, who) in enumerate(parts)
    ]
    try:
        return from_document({"rules": named})
    except PolicyInvalid:
        assume(False)
        raise


_names = st.sets(st.sampled_from(NAMES), max_size=2).map(frozenset)
situations = st.builds(
    Situation,
    source=st.just("issuer"),
    subject=st.sampled_from(NAMES),
    groups=_names,
    roles=_names,
    client_id=st.sampled_from(["", *NAMES]),
    protocol=st.sampled_from(["", *PROTOCOLS]),
    address=st.sampled_from(["", *ADDRESSES]),
    at=st.none() | st.integers(0, 200).map(lambda hours: NOW + dt.timedelta(hours=hours)),
)


@settings(max_examples=30)
@given(_policies())
def test_no_policy_is_weaker_than_itself(policy: Policy) -> None:
    assert weakenings(policy, policy) == ()


@settings(max_examples=60)
@given(_policies(), _policies(), st.lists(situations, min_size=2, max_size=6))
def test_whatever_anybody_meets_is_found(before: Policy, after: Policy, met: list[Situation]) -> None:
    found = {(each.before, each.after) for each in weakenings(before, after)}
    for situation in met:
        old, new = before.rule_for(situation), after.rule_for(situation)
        if _asks_less(old, new):
            assert (old.name if old else "", new.name if new else "") in found


def _asks_less(old: Rule | None, new: Rule | None) -> bool:
    """The same question, asked in another way."""
    if old and old.required and not (new and new.required):
        return True
    for purpose in PURPOSES:
        for proved in SETS:
            if _gets_in(new, purpose, proved) and not _gets_in(old, purpose, proved):
                return True
    return False


def _gets_in(rule: Rule | None, purpose: Any, proved: frozenset[str]) -> bool:
    if rule is None or not rule.allows(purpose):
        return False
    counted = proved & set(rule.proofs[purpose].kinds)
    return bool(counted - NEVER_FIRST) and rule.proofs[purpose].is_enough(counted)
