from flows.passwords.finding import Finding, broken, merged, of_directory, refusals
from idp_plugin.errors import RefusalReason
from idp_plugin.password_rules import PasswordRule, RuleName, Verdict


def test_every_reason_of_a_directory_has_a_finding() -> None:
    found = refusals(RefusalReason)
    assert [each.rule for each in found] == [f"directory_{reason}" for reason in RefusalReason]
    assert broken(found) == found


def test_of_two_about_one_rule_the_stricter_bound_stands_and_both_must_hold() -> None:
    ours = (Finding("length_min", True, {"count": 8}), Finding("length_max", True, {"count": 256}))
    theirs = (Finding("length_max", True, {"count": 64}), Finding("length_min", False, {"count": 14}))
    assert merged([*ours, *theirs]) == (
        Finding("length_min", False, {"count": 14}),
        Finding("length_max", True, {"count": 64}),
    )


def test_what_nobody_can_tell_yet_is_not_said_to_hold() -> None:
    assert merged([Finding("not_name", True), Finding("not_name", None)]) == (Finding("not_name", None),)
    assert merged([Finding("not_name", None), Finding("not_name", False)]) == (Finding("not_name", False),)


def test_what_only_the_directory_knows_is_the_rule_that_its_refusal_is_about() -> None:
    verdicts = [
        Verdict(PasswordRule(RuleName.NOT_IN_HISTORY, count=5), None),
        Verdict(PasswordRule(RuleName.QUALITY), None),
    ]
    refused = refusals([RefusalReason.IN_HISTORY, RefusalReason.TOO_SIMPLE])
    assert merged([*of_directory(verdicts), *refused]) == (
        Finding("directory_in_history", False, {"count": 5}),
        Finding("directory_too_simple", False),
    )


def test_a_bound_that_the_directory_does_not_tell_asks_for_nothing() -> None:
    rules = [PasswordRule(name) for name in RuleName if name.endswith(("_min", "_max"))]
    assert of_directory(Verdict(rule, None) for rule in rules) == ()
