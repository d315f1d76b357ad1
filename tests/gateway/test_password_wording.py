"""Every finding has a sentence."""

import pytest
from flask import Flask
from flask_babel import Babel

from flows.passwords.estimate import estimate
from flows.passwords.finding import Finding, of_directory, refusals
from gateway import password_wording
from idp_plugin.errors import RefusalReason
from idp_plugin.password_rules import PasswordRule, RuleName, Verdict

OURS = [
    Finding("length_min", False, {"count": 8}),
    Finding("length_max", False, {"count": 256}),
    Finding("classes_min", False, {"count": 3}),
    Finding("characters", False),
    Finding("not_name", False),
    Finding("not_banned", False),
    Finding("not_breached", None),
    Finding("directory_in_history", None),
    Finding("estimate", False, {"score": 1, "warning": ""}),
]
THEIRS = [*refusals(RefusalReason)]
OF_RULES = [
    *of_directory(Verdict(PasswordRule(name, count), None) for name in RuleName for count in (0, 1, 2))
]


@pytest.fixture(autouse=True)
def _in_a_request():
    app = Flask("test")
    Babel(app)
    with app.test_request_context():
        yield


@pytest.mark.parametrize(
    "finding", [*OURS, *THEIRS, *OF_RULES], ids=lambda each: f"{each.rule} {each.parameters}"
)
def test_every_finding_has_a_sentence(finding: Finding) -> None:
    assert len(password_wording.rule(finding)) > 5


@pytest.mark.parametrize("score", range(5))
def test_every_estimate_has_a_sentence(score: int) -> None:
    for warning in password_wording.WARNINGS:
        said = password_wording.advice(Finding("estimate", None, {"score": score, "warning": warning}))
        assert (str(password_wording.WARNINGS[warning]) in said) == (score < 3)


def test_every_warning_that_an_estimate_gives_is_known() -> None:
    weak = ["password", "johnson", "qwertz", "aaaa", "6543", "12.8.1987", "x", "quill", "2016"]
    assert {estimate(each, []).warning for each in weak} <= set(password_wording.WARNINGS)
