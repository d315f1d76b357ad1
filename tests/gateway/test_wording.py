"""Every word that flows speak in has a sentence."""

import ast
import datetime as dt
import inspect
import re
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import Babel

import flows
from enforcement.policy import KINDS
from enforcement.requirement import Gap
from flows import errors as flow
from flows.authenticators import phone_number
from gateway import errors, wording
from store.audit import AuditAction
from tests.contracts.kind_rows import kinds

# Nothing that expires is asked of them here.
BUILT = kinds(None)  # type: ignore[arg-type]
SOURCES = sorted(Path(flows.__file__).parent.rglob("*.py"))
ELSEWHERE = {flow.AttemptExpired, flow.AttemptMoved, flow.WrongStage, flow.ProofRequired}
"""Refusals that lead to a page of their own."""


@pytest.fixture(autouse=True)
def _in_a_request():
    app = Flask("test")
    Babel(app)
    with app.test_request_context():
        yield


def raised(name: str) -> set[str]:
    """The words with which an error is raised anywhere in flows."""
    calls = [
        node
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    return {
        arg.value
        for call in calls
        for arg in call.args
        if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
    }


def test_every_refusal_has_a_sentence_or_a_page() -> None:
    refusals = {
        each for _name, each in inspect.getmembers(flow, inspect.isclass) if issubclass(each, flow.Refused)
    }
    assert refusals - {flow.Refused} - ELSEWHERE == set(errors.BESIDE_FIELD)


def test_every_reason_against_an_address_has_a_sentence() -> None:
    assert raised("UnusableAddress") <= set(wording.ADDRESS_PROBLEMS)


def test_every_reason_against_a_reset_has_a_sentence() -> None:
    documented = set(re.findall(r"`(\w+)`", flow.NotPossible.__doc__ or "")) - {"why"}
    assert raised("NotPossible") | documented == set(wording.NOT_POSSIBLE)


def test_every_activity_that_is_told_is_an_audit_event() -> None:
    assert set(wording.ACTIVITY) <= set(AuditAction)


def test_every_kind_has_a_name_an_offer_and_a_hint() -> None:
    for words in (wording.KINDS, wording.KIND_OFFERS, wording.KIND_HINTS):
        assert {word for word in words if "." not in word} == set(KINDS)


def test_every_way_of_a_kind_has_an_offer_and_a_hint() -> None:
    ways = {f"mobile_phone.{way}" for way in ("sms", "voice")}
    for words in (wording.KIND_OFFERS, wording.KIND_HINTS):
        assert {word for word in words if "." in word} == ways


def test_every_reason_against_a_number_has_a_sentence() -> None:
    mapped = {*phone_number._UNREADABLE.values(), *phone_number._IMPOSSIBLE.values()}
    of_binding = {"shared", "registered", "too_many"}
    assert raised("UnusableNumber") | mapped | of_binding <= set(wording.NUMBER_PROBLEMS)


def test_every_gap_has_a_reason() -> None:
    source = inspect.getsource(Gap)
    assert set(re.findall(r'return "(\w+)"', source)) <= set(wording.REASONS)


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (dt.timedelta(0), "1 second"),
        (dt.timedelta(seconds=0.2), "1 second"),
        (dt.timedelta(seconds=59), "59 seconds"),
        (dt.timedelta(seconds=60), "1 minute"),
        (dt.timedelta(seconds=61), "2 minutes"),
        (dt.timedelta(hours=23, minutes=1), "24 hours"),
    ],
)
def test_a_wait_is_never_promised_shorter_than_it_is(wait: dt.timedelta, said: str) -> None:
    assert wording.in_minutes(wait) == said
