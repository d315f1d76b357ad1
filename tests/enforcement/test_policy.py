import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from enforcement.policy import GroupsUnknown, Policy, PolicyInvalid, from_document, load
from enforcement.situation import Situation
from tests.enforcement.making import a_policy, policies, rules

EXAMPLE = Path(__file__).parents[2] / "deploy" / "policies.example.toml"
STAFF = frozenset({"staff"})
NOBODY: frozenset[str] = frozenset()


def problems_of(text: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        load(text)
    return [where for where, _ in caught.value.problems]


def a_document(rule: str, who: str = "everyone = true") -> str:
    return f'[[rules]]\nname = "A"\n{rule}\n[rules.who]\n{who}\n'


def maintenance(begins: str, until: str) -> str:
    return f"[maintenance]\nbegins = {begins}\nuntil = {until}\n"


def test_the_first_rule_that_matches_decides() -> None:
    policy = a_policy({"who": {"groups": ["staff"]}}, {})
    staff = policy.rule_for(Situation(groups=frozenset({"staff", "others"})))
    others = policy.rule_for(Situation(groups=NOBODY))
    assert (staff, others) == policy.rules


def test_where_no_rule_matches_there_is_none() -> None:
    assert a_policy({"who": {"groups": ["staff"]}}).rule_for(Situation(groups=NOBODY, roles=NOBODY)) is None


def test_roles_match_beside_groups() -> None:
    policy = a_policy({"who": {"groups": ["staff"], "roles": ["admin"]}})
    assert policy.rule_for(Situation(groups=NOBODY, roles=frozenset({"admin"}))) is policy.rules[0]
    assert policy.rule_for(Situation(groups=STAFF, roles=NOBODY)) is policy.rules[0]
    assert policy.rule_for(Situation(groups=frozenset({"admin"}), roles=STAFF)) is None


def test_a_rule_for_some_relying_parties_leaves_the_others_alone() -> None:
    policy = a_policy({"who": {"everyone": True, "clients": ["payroll"]}})
    assert policy.rule_for(Situation(groups=None, client_id="payroll")) is policy.rules[0]
    assert policy.rule_for(Situation(groups=None, client_id="wiki")) is None
    assert policy.rule_for(Situation(groups=None, client_id="")) is None


def test_names_are_compared_exactly() -> None:
    policy = a_policy({"who": {"groups": ["staff"]}})
    for group in ("Staff", "staff ", "/staff"):
        assert policy.rule_for(Situation(groups=frozenset({group}), roles=NOBODY)) is None


def test_unknown_groups_are_no_answer_where_the_rule_depends_on_them() -> None:
    policy = a_policy({"who": {"groups": ["staff"]}}, {})
    with pytest.raises(GroupsUnknown):
        policy.rule_for(Situation(groups=None, roles=NOBODY))


def test_unknown_roles_are_no_answer_where_the_rule_depends_on_them() -> None:
    policy = a_policy({"who": {"roles": ["admin"]}}, {})
    with pytest.raises(GroupsUnknown):
        policy.rule_for(Situation(groups=STAFF, roles=None))


def test_unknown_groups_do_not_matter_where_an_earlier_rule_decides() -> None:
    policy = a_policy({"who": {"everyone": True, "clients": ["wiki"]}}, {"who": {"groups": ["staff"]}})
    assert policy.rule_for(Situation(groups=None, client_id="wiki")) is policy.rules[0]


def test_unknown_roles_do_not_matter_where_groups_decide() -> None:
    policy = a_policy({"who": {"groups": ["staff"], "roles": ["admin"]}})
    assert policy.rule_for(Situation(groups=STAFF, roles=None)) is policy.rules[0]


def test_a_policy_says_whether_it_needs_groups() -> None:
    assert a_policy({"who": {"groups": ["staff"]}}, {}).needs_groups
    assert a_policy({"who": {"roles": ["admin"]}}, {}).needs_groups
    assert not a_policy({}).needs_groups


def test_a_stranger_is_offered_the_union_of_kinds_and_the_most_gates() -> None:
    policy = a_policy(
        {"who": {"groups": ["a"]}, "kinds": ["totp"]},
        {"who": {"groups": ["b"]}, "kinds": ["totp", "email"], "register": 2, "reset": 2},
    )
    assert policy.proving_kinds("reset") == ("email", "totp")
    assert policy.most_gates("reset") == 2


def test_rules_that_allow_no_reset_offer_nothing() -> None:
    closed = {"who": {"groups": ["a"]}, "register": 2, "reset": 2, "reset_allowed": False}
    policy = a_policy(closed, {"kinds": ["email"]})
    assert policy.proving_kinds("reset") == ("email",)
    assert policy.most_gates("reset") == 1
    assert a_policy(closed).proving_kinds("reset") == ()


def test_what_is_offered_for_one_purpose_says_nothing_of_the_other() -> None:
    policy = a_policy({"register": 2, "reset": 2, "kinds": ["totp", "email"], "unlock_allowed": False})
    assert policy.proving_kinds("unlock") == ()
    assert policy.most_gates("unlock") == 1
    assert policy.proving_kinds("reset") == ("email", "totp")
    assert policy.most_gates("reset") == 2


def test_every_problem_is_told_at_once_and_where() -> None:
    text = """
        unknown = 1
        [[rules]]
        name = ""
        kinds = ["sms"]
        register = 6
        reset = 0
        reconfirm_days = 731
        on_fault = "perhaps"
        trust_delay_hours = 169
        people_per_address = 0
        [rules.who]
        everyone = "sometimes"
        [rules.postpone]
        times = 101
        days = 0
        until = "soon"
        colour = "red"
        [[rules]]
        name = "B"
        [rules.who]
        everyone = true
        [[rules]]
        name = "B"
        [rules.who]
        groups = ["staff"]
    """
    assert set(problems_of(text)) >= {
        "unknown",
        "rules.0.name",
        "rules.0.kinds.0",
        "rules.0.register",
        "rules.0.reset",
        "rules.0.reconfirm_days",
        "rules.0.on_fault",
        "rules.0.trust_delay_hours",
        "rules.0.people_per_address",
        "rules.0.who.everyone",
        "rules.0.postpone.times",
        "rules.0.postpone.days",
        "rules.0.postpone.until",
        "rules.0.postpone.colour",
        "rules.2",
        "rules.2.name",
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "rules"),
        ("rules = []", "rules"),
        ("rules = 1", "rules"),
        ("rules = [1]", "rules.0"),
        ("not toml", "document"),
        (a_document('kinds = ["email", "email"]'), "rules.0.kinds"),
        (a_document("kinds = []"), "rules.0.kinds"),
        (a_document('kinds = ["email"]\nreset = 2\nregister = 2'), "rules.0"),
        (a_document("register = 1\nreset = 2"), "rules.0"),
        (a_document('kinds = ["security_questions"]'), "rules.0"),
        (a_document('kinds = ["mobile_phone", "office_phone"]\nreset = 2\nregister = 2'), "rules.0"),
        (a_document("reset_weight = 9"), "rules.0"),
        (a_document("weights = { email = 0 }"), "rules.0.weights"),
        (a_document('unlock_kinds = ["email", "email"]'), "rules.0.unlock_kinds"),
        (a_document('preset = "homemade"'), "rules.0.preset"),
        (a_document('kinds = ["recovery_codes"]\nregister = 2'), "rules.0.register"),
        (a_document("", who=""), "rules.0.who"),
        (a_document("", who='clients = ["wiki"]'), "rules.0.who"),
        (a_document("", who="everyone = false"), "rules.0.who"),
        (
            a_document("", who="everyone = true\nring={ percent = 0, salt = 'x' }"),
            "rules.0.who.ring.percent",
        ),
        (a_document("", who="everyone = true\nring={ percent = 5 }"), "rules.0.who.ring.salt"),
        (maintenance("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z") + a_document(""), "maintenance"),
        (maintenance("2026-03-01T00:00:00Z", "2026-03-15T00:00:01Z") + a_document(""), "maintenance"),
        (maintenance("2026-03-01T00:00:00", "2026-03-02T00:00:00Z") + a_document(""), "maintenance.begins"),
        ("version = 7\n" + a_document(""), "version"),
    ],
)
def test_what_cannot_be_right_is_refused(text: str, where: str) -> None:
    assert problems_of(text) == [where]


def test_a_rule_that_is_never_reached_is_refused() -> None:
    assert problems_of(a_document("") + a_document("").replace('"A"', '"B"')) == ["rules.1"]


def test_a_rule_after_one_for_some_relying_parties_is_reached() -> None:
    first = a_document("", who='everyone = true\nclients = ["wiki"]')
    assert len(load(first + a_document("").replace('"A"', '"B"')).rules) == 2


def test_a_rule_after_one_for_everyone_that_only_reports_is_reached() -> None:
    first = a_document("report_only = true")
    assert len(load(first + a_document("").replace('"A"', '"B"')).rules) == 2


def test_two_rules_of_one_name_are_refused() -> None:
    groups = 'groups = ["staff"]'
    assert problems_of(a_document("", who=groups) + a_document("")) == ["rules.1.name"]


def test_a_document_survives_being_stored() -> None:
    policy = load(EXAMPLE.read_text(encoding="utf-8"))
    stored = json.loads(json.dumps(policy.document()))
    assert from_document(stored, version=3) == policy.model_copy(update={"version": 3})


@given(st.builds(lambda rule: Policy(rules=(rule,)), rules()) | policies())
def test_every_policy_survives_being_stored(policy: Policy) -> None:
    assume(not any(rule.who.is_everybody and not rule.report_only for rule in policy.rules[:-1]))
    stored = json.loads(json.dumps(policy.document()))
    assert from_document(stored, version=policy.version) == policy


def test_the_example_says_something_about_every_field() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    parts = Policy.model_json_schema()["$defs"]
    fields = [field for part in parts.values() for field in part.get("properties", ())]
    assert [field for field in fields if field not in text] == []


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    with contextlib.suppress(PolicyInvalid):
        assert load(text).rules


def test_a_kind_that_is_listed_for_one_purpose_alone_is_known() -> None:
    policy = a_policy(
        {"kinds": ["email"], "reset_kinds": ["email", "helpdesk_code"], "who": {"groups": ["staff"]}},
        {"kinds": ["totp"]},
    )
    assert policy.kinds == {"email", "helpdesk_code", "totp"}


HIDING = ["Everyone\x1b[1A\x1b[2K", "Everyone\nWeaker in: nothing", "Every\u202eone", "\x9b2J", "a\u2028b"]


@pytest.mark.parametrize("name", HIDING)
def test_no_name_hides_what_stands_beside_it_from_whoever_approves(name: str) -> None:
    rule = {"name": "Everyone", "who": {"everyone": True}}
    with pytest.raises(PolicyInvalid) as of_a_rule:
        from_document({"rules": [{**rule, "name": name}]})
    assert [where for where, _ in of_a_rule.value.problems] == ["rules.0.name"]
    with pytest.raises(PolicyInvalid) as of_power:
        from_document({"opened": [name], "rules": [rule]})
    assert [where for where, _ in of_power.value.problems] == ["opened"]


@pytest.mark.parametrize(
    "name", ["Finance & HR, “north”", "همه\u200cی کارکنان", "全員", "Öffentlicher Dienst"]
)
def test_names_are_of_any_script(name: str) -> None:
    policy = from_document({"rules": [{"name": name, "who": {"everyone": True}}]})
    assert policy.rules[0].name == name
