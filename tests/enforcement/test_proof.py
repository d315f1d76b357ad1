"""Which proofs are enough."""

from hypothesis import given
from hypothesis import strategies as st

from enforcement.policy import KINDS, Rule
from enforcement.presets import PRESETS
from enforcement.proof import NEVER_FIRST, NEVER_REGISTERED, NOT_EVERYWHERE_FIRST, ProofRule
from tests.enforcement.making import a_policy, a_rule

ALL = ("email", "totp", "passkey", "mobile_phone", "office_phone", "security_questions")


def test_one_proof_is_enough_where_one_is_asked() -> None:
    rule = ProofRule(ALL)
    assert rule.is_enough({"email"})
    assert not rule.is_enough(())


def test_two_telephones_are_one_medium() -> None:
    rule = ProofRule(ALL, gates=2)
    assert rule.next_kinds({"mobile_phone"}, ALL) == ("email", "totp", "passkey", "security_questions")
    assert rule.fewest_more((), {"mobile_phone", "office_phone"}) is None
    assert ProofRule(ALL, 2, different_media=False).fewest_more((), {"mobile_phone", "office_phone"}) == 2


def test_a_heavy_proof_is_enough_alone_and_light_ones_together() -> None:
    rule = ProofRule(ALL, weight=2, weights=(("passkey", 2),))
    assert rule.is_enough({"passkey"})
    assert not rule.is_enough({"email"})
    assert rule.is_enough({"email", "totp"})
    assert rule.fewest_more({"email"}, {"email", "totp"}) == 1


def test_questions_are_never_the_first_proof() -> None:
    rule = ProofRule(ALL, gates=2)
    assert "security_questions" not in rule.next_kinds((), ALL)
    assert "security_questions" in rule.next_kinds({"email"}, ALL)
    assert rule.fewest_more((), {"security_questions"}) is None


def test_what_is_not_there_is_not_offered() -> None:
    assert ProofRule(ALL).next_kinds((), {"totp"}) == ("totp",)


def test_a_rule_says_how_many_more_must_be_registered_until_it_can_be_passed() -> None:
    rule = ProofRule(ALL, weight=2, weights=(("totp", 2),))
    assert rule.lacking((), ALL) == 1
    assert rule.lacking({"email"}, ALL) == 1
    assert rule.lacking({"email", "totp"}, ALL) == 0


def test_a_passkey_asks_for_another_kind_beside_it_that_any_browser_can_be_asked_for() -> None:
    rule = ProofRule(ALL)
    assert rule.lacking({"passkey"}, ALL) == 1
    assert rule.lacking({"passkey", "security_questions"}, ALL) == 1
    assert rule.lacking({"passkey", "email"}, ALL) == 0
    assert ProofRule(("passkey",)).lacking({"passkey"}, ("passkey",)) == 0
    assert rule.fewest_more((), {"passkey"}) == 1


def test_each_purpose_has_its_own_kinds_and_number() -> None:
    rule = a_rule(
        kinds=["email", "totp"], register=2, reset=2, unlock=1, reset_kinds=["totp", "email", "helpdesk_code"]
    )
    assert rule.proofs["reset"].gates == 2
    assert rule.proving_kinds("unlock") == ("totp", "email", "helpdesk_code")
    assert rule.proofs["unlock"].gates == 1
    assert rule.proofs["change"].gates == 1
    assert rule.register_kinds == ("email", "totp")


def test_strangers_are_offered_no_question_that_tells_of_the_person() -> None:
    policy = a_policy({"kinds": ["email", "security_questions"], "register": 2, "reset": 2})
    assert policy.proving_kinds("reset") == ("email",)


def test_a_preset_fills_what_the_rule_does_not_say() -> None:
    rule = a_rule(preset="nist-800-63b-4", kinds=["totp", "passkey"])
    assert (rule.register, rule.reset, rule.people_per_address) == (2, 2, 1)
    assert rule.kinds == ("totp", "passkey")


def test_no_preset_asks_for_security_questions() -> None:
    assert [name for name, fields in PRESETS.items() if "security_questions" in fields["kinds"]] == []


def test_every_preset_is_a_rule_as_it_is() -> None:
    for preset in PRESETS:
        assert Rule.model_validate({"name": "A", "who": {"everyone": True}, "preset": preset}).kinds


@st.composite
def proof_rules(draw: st.DrawFn) -> ProofRule:
    kinds = tuple(draw(st.lists(st.sampled_from(KINDS), unique=True, min_size=1)))
    weights = draw(st.dictionaries(st.sampled_from(kinds), st.integers(1, 3)))
    weight, different = draw(st.integers(0, 5)), draw(st.booleans())
    return ProofRule(kinds, draw(st.integers(1, 3)), weight, tuple(weights.items()), different)


@given(proof_rules(), st.sets(st.sampled_from(KINDS)))
def test_following_what_is_offered_reaches_the_end_in_the_fewest_steps_that_were_said(
    rule: ProofRule, among: set[str]
) -> None:
    fewest = rule.fewest_more((), among)
    reached: list[set[str]] = [set()]
    steps = 0
    while reached and not any(rule.is_enough(proved) for proved in reached):
        reached = [{*proved, kind} for proved in reached for kind in rule.next_kinds(proved, among)]
        reached = [set(each) for each in {frozenset(proved) for proved in reached}]
        steps += 1
    assert fewest == (steps if reached else None)


@given(proof_rules(), st.sets(st.sampled_from(KINDS)))
def test_whoever_lacks_nothing_can_pass(rule: ProofRule, kinds: set[str]) -> None:
    registrable = set(KINDS) - NEVER_REGISTERED
    if rule.fewest_more((), kinds | registrable) is None:
        return
    if rule.lacking(kinds, registrable) == 0:
        assert rule.fewest_more((), kinds) is not None
    elif not NOT_EVERYWHERE_FIRST.issuperset(kinds):
        assert rule.fewest_more((), kinds) is None


def test_a_question_is_never_enough_alone_whatever_it_weighs() -> None:
    heavy = ProofRule(("security_questions",), weights=(("security_questions", 5),))
    assert NEVER_FIRST.issuperset(heavy.kinds)
    assert heavy.fewest_more((), heavy.kinds) is None


def test_a_strengthened_rule_asks_for_two_proofs_of_what_people_hold_themselves() -> None:
    rule = a_rule(
        kinds=["email", "totp", "security_questions"],
        register=2,
        reset_kinds=["helpdesk_code", "email", "totp"],
        unlock_kinds=["helpdesk_code"],
    ).strengthened()
    assert rule.proofs["reset"].gates == 2
    assert rule.proving_kinds("reset") == ("email", "totp")
    assert rule.proofs["unlock"].gates == 2
    assert rule.proving_kinds("unlock") == ("email", "totp")
    assert "security_questions" not in rule.kinds


def test_two_telephones_that_were_proved_are_one_proof_where_media_must_differ() -> None:
    phones = {"mobile_phone", "office_phone"}
    assert not ProofRule(ALL, gates=2).is_enough(phones)
    assert ProofRule(ALL, 2, different_media=False).is_enough(phones)
    heavy = ProofRule(ALL, weight=3, weights=(("mobile_phone", 2), ("office_phone", 3)))
    assert heavy.is_enough(phones)
    assert not ProofRule(ALL, weight=4, weights=heavy.weights).is_enough(phones)


def test_a_strengthened_rule_of_what_is_handed_out_alone_allows_nothing() -> None:
    rule = a_rule(kinds=["email", "totp"], reset_kinds=["helpdesk_code"]).strengthened()
    for purpose in ("reset", "unlock", "change"):
        assert not rule.allows(purpose)
        assert rule.proving_kinds(purpose) == ()


def test_a_strengthened_rule_asks_for_different_media() -> None:
    rule = a_rule(
        kinds=["mobile_phone", "office_phone"], register=2, reset=2, different_media=False
    ).strengthened()
    assert rule.proofs["reset"].fewest_more((), rule.kinds) is None
