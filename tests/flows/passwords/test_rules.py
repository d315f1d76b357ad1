from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.passwords.breaches import BreachesUnavailable
from flows.passwords.finding import Finding, broken
from flows.passwords.rules import Judgement, PasswordRules
from flows.passwords.settings import BannedSettings, PasswordsSettings
from idp_plugin.base import WriterCapabilities
from idp_plugin.password_rules import AccountNames, PasswordRule, RuleName

JANE = AccountNames("jdoe", "Jane van Poll", ("jane.doe@example.org",))
ANY = WriterCapabilities()
SHIPPED = PasswordRules(PasswordsSettings(), organisation="Contoso Bakeries")
SEVERE = PasswordRules(
    PasswordsSettings(shortest=12, classes=3, estimate=3, organisation_words=("croissant",))
)
GOOD = "four words not together"


@dataclass
class Known:
    """A source of leaked passwords that counts its questions."""

    leaked: set[str] = field(default_factory=set)
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def have(self, candidate: str) -> bool:
        self.asked.append(candidate)
        if self.down:
            raise BreachesUnavailable("status 503")
        return candidate in self.leaked

    def close(self) -> None:
        pass


def broken_rules(candidate: str, rules: PasswordRules = SHIPPED, can: WriterCapabilities = ANY) -> list[str]:
    return [each.rule for each in broken(rules.findings(candidate, names=JANE, capabilities=can))]


@pytest.mark.parametrize(
    ("candidate", "rules"),
    [
        ("gr7mvqp", ["length_min"]),
        ("gr7mvqpz", []),
        (GOOD, []),
        ("пароль-из-слов", []),
        ("漢字とかなの合言葉", []),
        ("مفتاح الباب القديم", []),
        ("pässwörd ☃ 漢字 mit allem", []),
        ("e\u0301" * 8, []),
        ("х0рошо-ſтаrый", []),  # noqa: RUF001 - look-alikes on purpose
        ("gr7m" * 64, []),
        ("gr7m" * 64 + "x", ["length_max"]),
        ("x" * 10_000, ["length_max"]),
        ("gr7m" * 64 + "p0ll", ["length_max"]),  # what is too much is not read
        ("jane.doe@example.org", ["not_name"]),
        ("my p0ll is open now", ["not_name"]),
        ("password", ["not_banned"]),
        ("P@ssw0rd12", ["not_banned"]),
        ("Contoso1!", ["not_banned"]),
        ("c0ntos0bakeries12", ["not_banned"]),
        ("contoso is where I work", []),
        ("gr7mvqp\x00", ["characters"]),
        ("gr7mvqp\r\n", ["characters"]),
        ("gr7mvqp\ud800", ["characters"]),
        ("gr7mvqpz\ufffd", ["characters"]),
        ("", ["length_min", "not_name", "not_banned"]),
    ],
)
def test_each_rule_says_what_it_says(candidate: str, rules: list[str]) -> None:
    assert broken_rules(candidate) == rules


def test_severe_settings_ask_for_more() -> None:
    assert broken_rules("Butterflies-77", SEVERE) == ["estimate"]
    assert broken_rules("marmeladeglas", SEVERE) == ["classes_min"]
    assert broken_rules("Croissant123", SEVERE) == ["not_banned", "estimate"]
    assert broken_rules("Tamovi-Redusa-17", SEVERE) == []


def test_common_passwords_are_terms_only_where_that_is_set() -> None:
    lenient = PasswordRules(PasswordsSettings(banned=BannedSettings(common=False)))
    assert broken_rules("password", lenient) == []


def test_a_broken_list_rule_tells_how_the_points_come_about() -> None:
    found = {each.rule: each for each in SHIPPED.findings("Contoso1!", names=JANE, capabilities=ANY)}
    assert found["not_banned"].parameters == {
        "points": 3,
        "needed": 5,
        "others": 2,
        "terms": "Contoso",
        "close_to": "",
    }


def test_the_directorys_rules_stand_beside_ours_and_the_stricter_counts() -> None:
    rules = (
        PasswordRule(RuleName.LENGTH_MIN, 14, "openldap"),
        PasswordRule(RuleName.QUALITY, dialect="openldap"),
        PasswordRule(RuleName.DIGITS_MIN, 2, "unheard of"),
    )
    can = WriterCapabilities(checks_history_on_reset=True, history_length=5, minimum_length=10, rules=rules)
    found = {each.rule: each for each in SHIPPED.findings("gr7mvqpz-wl", names=JANE, capabilities=can)}
    assert found["length_min"] == Finding("length_min", False, {"count": 14})
    assert found["directory_in_history"] == Finding("directory_in_history", None, {"count": 5})
    assert found["directory_too_simple"].holds is None
    assert found["digits_min"] == Finding("digits_min", None, {"count": 2})


def test_the_estimate_advises_and_refuses_only_where_it_is_told_to() -> None:
    assert SHIPPED.findings("password", names=JANE, capabilities=ANY)[-1].holds is None
    assert SEVERE.findings("password", names=JANE, capabilities=ANY)[-1].holds is False


def test_leaked_passwords_are_looked_up_on_submission_and_never_while_typing() -> None:
    known = Known({GOOD})
    rules = PasswordRules(PasswordsSettings(), breaches=known)
    while_typing = rules.findings(GOOD, names=JANE, capabilities=ANY)
    assert (Finding("not_breached", None) in while_typing, known.asked) == (True, [])
    assert rules.judge(GOOD, names=JANE, capabilities=ANY) == Judgement((Finding("not_breached", False),))
    assert rules.judge("another one altogether", names=JANE, capabilities=ANY) == Judgement(())
    assert known.asked == [GOOD, "another one altogether"]


def test_what_breaks_another_rule_is_not_looked_up() -> None:
    known = Known()
    rules = PasswordRules(PasswordsSettings(), breaches=known)
    assert rules.judge("short", names=JANE, capabilities=ANY).broken
    assert known.asked == []


def test_a_source_that_does_not_answer_is_said_to_be_unasked() -> None:
    rules = PasswordRules(PasswordsSettings(), breaches=Known(down=True))
    assert rules.judge(GOOD, names=JANE, capabilities=ANY) == Judgement((), "status 503")


@given(st.text(max_size=300))
def test_any_text_gets_every_finding(candidate: str) -> None:
    findings = SHIPPED.findings(candidate, names=JANE, capabilities=ANY)
    assert [each.rule for each in findings] == [
        "length_min",
        "length_max",
        "characters",
        "not_name",
        "not_banned",
        "estimate",
    ]
