import pytest
from flask import Flask
from flask_babel import Babel

from flows.passwords.finding import Finding, of_directory
from flows.passwords.rules import PasswordRules
from flows.passwords.settings import PasswordsSettings
from flows.passwords.suggestion import Suggestion
from gateway.pages.new_password import described, for_managers, told
from idp_plugin.base import WriterCapabilities
from idp_plugin.password_rules import AccountNames, PasswordRule, RuleName, Verdict


@pytest.fixture(autouse=True)
def _in_a_request():
    app = Flask("test")
    Babel(app)
    with app.test_request_context():
        yield


def findings(candidate: str, **settings: object) -> tuple[Finding, ...]:
    rules = PasswordRules(PasswordsSettings(**settings), organisation="Contoso Bakeries")
    return rules.findings(candidate, names=AccountNames("jdoe"), capabilities=WriterCapabilities())


def test_the_list_is_short_until_something_rare_is_wrong() -> None:
    shown = [rule.name for rule in described(findings("")).rules if not rule.is_quiet]
    assert shown == ["length_min", "not_name", "not_banned"]


def test_nothing_is_said_of_nothing() -> None:
    new = described(findings(""))
    assert {rule.holds for rule in new.rules} == {None}
    assert (new.advice, new.score) == ("", None)


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("four words not together", "Very hard to guess."),
        ("Contoso1!", "Words that people expect count as one character: Contoso. Add at least 2 more."),
        ("passw0rd", "Too close to “password”, which is tried early."),
        ("mnopqrst", "Very easy to guess. Runs like abc or 6543 are tried early."),
        ("gr7mv", "Easy to guess. Another word would help."),
    ],
)
def test_the_advice_is_what_helps_most(typed: str, advice: str) -> None:
    assert described(findings(typed), typed=typed).advice == advice


def test_the_script_is_told_rules_and_the_advice_but_nothing_of_the_password() -> None:
    said = told(findings("Contoso1!"))
    assert {"rule": "length_min", "holds": True} in said
    assert {"rule": "not_banned", "holds": False} in said
    assert said[-1] == {
        "rule": "estimate",
        "holds": None,
        "score": 0,
        "advice": "Words that people expect count as one character: Contoso. Add at least 2 more.",
    }


def test_the_directorys_refusal_stands_in_the_list() -> None:
    new = described((*findings("gr7mvqpz"), Finding("directory_in_history", False)), typed="gr7mvqpz")
    assert new.rules[-1].sentence == "None of the passwords that you had before"
    assert new.rules[-1].holds is False


def test_a_suggestion_is_judged_like_something_typed() -> None:
    new = described(findings("tamovi-redusa-kolepi"), suggestion=Suggestion("tamovi-redusa-kolepi", 54))
    assert {rule.holds for rule in new.rules} == {True}


def test_password_managers_are_told_the_rules() -> None:
    assert for_managers(findings("")) == "minlength: 8; maxlength: 256; allowed: ascii-printable;"
    rules = (
        PasswordRule(RuleName.UPPER_MIN, 1),
        PasswordRule(RuleName.DIGITS_MIN, 2),
        PasswordRule(RuleName.REPEATS_MAX, 2),
    )
    theirs = of_directory(Verdict(rule, None) for rule in rules)
    assert for_managers((*findings(""), *theirs)) == (
        "minlength: 8; maxlength: 256; max-consecutive: 2; "
        "required: upper; required: digit; allowed: ascii-printable;"
    )
    assert "required: lower; required: upper; required: digit; required: special" in for_managers(
        findings("", classes=3)
    )
