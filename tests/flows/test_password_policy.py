import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.password_policy import Finding, broken, check, names_of, refusals
from idp_plugin.base import Identity, Subject, WriterCapabilities
from idp_plugin.errors import RefusalReason

JANE = Identity(
    subject=Subject("issuer", "1"),
    account=Subject("people", "1"),
    username="jdoe",
    display_name="Jane-Mary van Doe",
    emails=("jane.doe@example.org",),
)
ANY = WriterCapabilities()


def broken_rules(candidate: str) -> list[str]:
    return [each.rule for each in broken(check(candidate, names=names_of(JANE), capabilities=ANY))]


@pytest.mark.parametrize(
    ("candidate", "rules"),
    [
        ("seven77", ["length_min"]),
        ("eight888", []),
        ("x" * 256, []),
        ("x" * 257, ["length_max"]),
        ("jane.doe@example.org", ["not_name"]),
        ("JANE.DOE", ["not_name"]),
        ("jane.doe1", ["not_name"]),
        ("jane.doe-is-not-me", []),
        ("jdoe", ["length_min", "not_name"]),
        ("Jane-Mary van Doe", ["not_name"]),
        ("12\x0034567", ["characters"]),
        ("пароль-из-слов", []),
        ("", ["length_min", "not_name"]),
    ],
)
def test_each_rule_says_what_it_says(candidate: str, rules: list[str]) -> None:
    assert broken_rules(candidate) == rules


def test_history_is_a_promise_that_only_the_directory_can_keep() -> None:
    able = WriterCapabilities(checks_history_on_reset=True, history_length=5)
    finding = check("anything at all", names=(), capabilities=able)[-1]
    assert finding == Finding("directory_in_history", None, {"count": 5})


def test_every_reason_of_a_directory_has_a_finding() -> None:
    found = refusals(RefusalReason)
    assert [each.rule for each in found] == [f"directory_{reason}" for reason in RefusalReason]
    assert not any(each.holds for each in found)


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(candidate: str) -> None:
    findings = check(candidate, names=names_of(JANE), capabilities=ANY)
    assert [each.rule for each in findings] == ["length_min", "length_max", "not_name", "characters"]
