"""What the gate decides is what is explained, and hiding a fact never helps (S10)."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.decision import Interrupt, Release, decide
from enforcement.explanation import Explanation, explain
from enforcement.policy import GroupsUnknown, Policy
from enforcement.requirement import Facts
from enforcement.situation import Situation
from store.gate_facts import AuthenticatorFact, GateFacts
from store.people import Postponements
from tests.enforcement.making import (
    DAY,
    NOW,
    SESSIONS,
    a_policy,
    gate_facts,
    later_in,
    policies,
    situations,
    with_less_known,
)

NOBODY: frozenset[str] = frozenset()
ANA = Situation(
    source="https://idp.example",
    subject="ana",
    groups=NOBODY,
    roles=NOBODY,
    client_id="wiki",
    protocol="oidc",
    address="192.0.2.1",
    at=NOW,
)
STRICT = {"kinds": ["totp"]}


def explained(policy: Policy, situation: Situation = ANA, facts: GateFacts | None = None) -> Explanation:
    return explain(policy, situation, lambda: facts, session_id="s")


def strictness(policy: Policy, situation: Situation, facts: GateFacts | None, session: str) -> int:
    """0 where it is let go, 1 where it is held, 2 where it cannot be decided, which stops it too."""
    try:
        decision = explain(policy, situation, lambda: facts, session_id=session).decision
    except GroupsUnknown:
        return 2
    return int(isinstance(decision, Interrupt))


@given(policies(), situations, gate_facts, st.sampled_from(SESSIONS), st.data())
def test_hiding_a_fact_never_relaxes_a_decision(
    policy: Policy, situation: Situation, facts: GateFacts | None, session: str, data: st.DataObject
) -> None:
    hidden = data.draw(with_less_known(situation))
    known = strictness(policy, situation, facts, session)
    assert strictness(policy, hidden, facts, session) >= known
    assert strictness(policy, situation, facts, "") >= known


BOUND_TO = ({}, {"clients": ["wiki"]}, {"networks": ["192.0.2.0/24"]}, {"protocols": ["oidc"]})
"""One thing of a sign-in at most; `ANA`'s has all of them."""
UNKNOWN = {"client_id": "", "address": "", "protocol": ""}
OTHERS = {"client_id": "mail", "address": "198.51.100.1", "protocol": "saml"}


def some_of(facts: dict[str, str]) -> list[dict[str, str]]:
    """Every choice of some of the facts."""
    names = [chosen for count in range(len(facts) + 1) for chosen in itertools.combinations(facts, count)]
    return [{name: facts[name] for name in chosen} for chosen in names]


@pytest.mark.parametrize("asks", [(False, True), (True, False)])
def test_hiding_a_fact_relaxes_no_pair_of_rules(asks: tuple[bool, bool]) -> None:
    for bound in itertools.product(BOUND_TO, repeat=2):
        rules = [
            {"required": required, "who": {"everyone": True, **narrow}}
            for required, narrow in zip(asks, bound, strict=True)
        ]
        # A rule behind one for everybody is refused.
        policy = a_policy(*(rules if bound[0] else rules[:1]))
        for other in some_of(OTHERS):
            situation = dataclasses.replace(ANA, **other)
            known = strictness(policy, situation, None, "s")
            hidden = [dataclasses.replace(situation, **unknown) for unknown in some_of(UNKNOWN)]
            assert min(strictness(policy, each, None, "s") for each in hidden) >= known


@given(policies(), situations, st.data())
def test_the_rule_that_decides_is_possible_however_little_is_known(
    policy: Policy, situation: Situation, data: st.DataObject
) -> None:
    hidden = data.draw(with_less_known(situation))
    assert policy.possible_rules(situation) == (policy.rule_for(situation),)
    assert policy.rule_for(situation) in policy.possible_rules(hidden)


@given(policies(), situations, gate_facts, st.sampled_from(SESSIONS))
def test_where_everything_is_known_the_first_rule_that_matches_decides(
    policy: Policy, situation: Situation, facts: GateFacts | None, session: str
) -> None:
    rule, now = policy.rule_for(situation), situation.moment
    put_off = facts.postponements if facts else Postponements()
    expected = decide(rule, Facts.from_gate(facts), put_off, session_id=session, now=now)
    decision = explain(policy, situation, lambda: facts, session_id=session).decision
    assert dataclasses.replace(decision, reported=()) == (
        Release("covered", 3, facts.epoch if facts else 0) if expected == Release("covered") else expected
    )


@given(policies(), situations, gate_facts)
def test_rules_in_report_only_change_no_decision(
    policy: Policy, situation: Situation, facts: GateFacts | None
) -> None:
    others = policy.model_copy(update={"rules": policy.deciding_rules})
    with_them, without = explained(policy, situation, facts), explained(others, situation, facts)
    assert dataclasses.replace(with_them.decision, reported=()) == without.decision
    assert with_them.withheld == without.withheld


@given(policies(), situations, gate_facts)
def test_every_rule_is_told_in_order_and_every_report_comes_from_a_rule_that_reports(
    policy: Policy, situation: Situation, facts: GateFacts | None
) -> None:
    found = explained(policy, situation, facts)
    assert tuple(each.heard.rule for each in found.spoken) == policy.rules
    reporting = {rule.name for rule in policy.rules if rule.report_only}
    assert set(found.decision.reported) <= reporting


def test_the_facts_are_read_once_at_most_and_only_if_something_is_asked() -> None:
    policy = a_policy(
        {"who": {"everyone": True, "clients": ["a"]}, **STRICT},
        {"who": {"everyone": True, "clients": ["b"]}},
        {"required": False},
    )
    reads = itertools.count()

    def read() -> None:
        next(reads)

    explain(policy, ANA, read, session_id="s")
    assert next(reads) == 0
    explain(policy, dataclasses.replace(ANA, client_id=""), read, session_id="s")
    assert next(reads) == 2


def test_an_unknown_relying_party_is_any_that_a_rule_names() -> None:
    policy = a_policy({"who": {"everyone": True, "clients": ["payroll"]}, **STRICT})
    unknown = dataclasses.replace(ANA, client_id="")
    assert explained(policy).decision == Release("not_covered")
    decision = explained(policy, unknown).decision
    assert isinstance(decision, Interrupt)
    assert decision.rule_name == "Rule 0"


def test_an_unknown_address_is_inside_and_outside_whichever_is_stricter() -> None:
    inside = {"who": {"everyone": True, "networks": ["192.0.2.0/24"]}}
    unknown = dataclasses.replace(ANA, address="")
    lenient_inside = a_policy({**inside, "required": False}, STRICT)
    assert explained(lenient_inside).decision == Release("not_covered")
    assert isinstance(explained(lenient_inside, unknown).decision, Interrupt)
    strict_inside = a_policy({**inside, **STRICT})
    assert isinstance(explained(strict_inside, unknown).decision, Interrupt)


def test_a_rule_behind_one_for_the_same_relying_parties_is_not_met_by_hiding() -> None:
    policy = a_policy(
        {"who": {"everyone": True, "clients": ["a", "b"]}, "required": False},
        {"who": {"everyone": True, "clients": ["b"]}, **STRICT},
        {"required": False},
    )
    assert explained(policy, dataclasses.replace(ANA, client_id="")).decision == Release("not_covered")


def test_only_who_is_covered_under_every_rule_that_may_be_meant_is_called_so() -> None:
    policy = a_policy(
        {"who": {"everyone": True, "clients": ["wiki"]}, "kinds": ["email"]},
        {"kinds": ["totp"], "postpone": {"times": 2}},
    )
    email = AuthenticatorFact("email", NOW, NOW, suspended=False)
    facts = GateFacts("person", 4, frozen=False, authenticators=(email,), postponements=later_in("s"))
    assert explained(policy, ANA, facts).decision == Release("covered", 0, 4)
    unknown = dataclasses.replace(ANA, client_id="")
    assert explained(policy, unknown, facts).decision == Release("postponed")


def test_unknown_groups_leave_the_rule_for_everybody_possible() -> None:
    policy = a_policy({"who": {"groups": ["staff"]}, "required": False}, STRICT)
    assert policy.possible_rules(Situation(at=NOW)) == policy.rules
    same = a_policy({"who": {"groups": ["a", "b"]}}, {"who": {"groups": ["a"]}, **STRICT})
    assert policy.possible_rules(dataclasses.replace(ANA, groups=None)) == policy.rules
    assert same.possible_rules(Situation(at=NOW)) == (same.rules[0], None)


def test_a_rule_in_report_only_tells_what_it_would_do_and_the_next_one_decides() -> None:
    policy = a_policy({"report_only": True, **STRICT}, {"required": False})
    assert explained(policy).decision == Release("not_covered", reported=("Rule 0",))
    strict = a_policy({"report_only": True, "required": False}, STRICT)
    assert isinstance(explained(strict).decision, Interrupt)


def test_a_rule_in_report_only_decides_no_recovery_and_offers_strangers_nothing() -> None:
    policy = a_policy({"report_only": True, "kinds": ["passkey", "totp"], "register": 2, "reset": 2}, {})
    assert policy.rule_for(Situation(groups=NOBODY, roles=NOBODY)) is policy.rules[1]
    assert policy.proving_kinds("reset") == ("email", "totp", "recovery_codes")
    assert policy.most_gates("reset") == 1


def test_unknown_groups_stop_nobody_for_a_rule_in_report_only() -> None:
    policy = a_policy({"who": {"groups": ["staff"]}, "report_only": True, **STRICT}, {"required": False})
    assert explained(policy, dataclasses.replace(ANA, groups=None)).decision == Release("not_covered")


def in_maintenance(*rules: dict[str, object]) -> Policy:
    maintenance = {"begins": NOW - DAY, "until": NOW + DAY}
    policy = a_policy(*rules)
    return Policy.model_validate({"version": 3, "rules": policy.rules, "maintenance": maintenance})


def test_in_maintenance_nobody_is_interrupted_and_the_covered_stay_covered() -> None:
    policy = in_maintenance({})
    found = explained(policy)
    assert found.decision == Release("maintenance")
    assert found.withheld is not None
    assert found.withheld.reason == "unregistered"
    bob = GateFacts("person", 4, frozen=False)
    assert explained(in_maintenance({"required": False}), ANA, bob).decision == Release("not_covered")


@pytest.mark.parametrize(("days", "held"), [(-1, False), (0.99, False), (1, True), (-1.01, True)])
def test_maintenance_begins_and_ends_to_the_moment(days: float, held: bool) -> None:
    then = dataclasses.replace(ANA, at=NOW + days * DAY)
    assert isinstance(explained(in_maintenance({}), then).decision, Interrupt) is held
