import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from enforcement.decision import Interrupt, Release, decide
from enforcement.grace import Postponement, may_postpone, still_postponed
from enforcement.policy import Rule
from enforcement.requirement import Facts, Gap, RegisteredAuthenticator, gap
from store.people import Postponements
from tests.enforcement.making import (
    NOW,
    SESSIONS,
    a_rule,
    an_authenticator,
    authenticators,
    facts,
    later_in,
    postponements,
    rules,
    some_facts,
)

NEVER = Postponements()


def test_where_no_rule_matches_the_sign_in_is_let_go() -> None:
    assert decide(None, some_facts(), NEVER, session_id="s", now=NOW) == Release("not_covered")


def test_a_rule_that_asks_nothing_lets_everybody_go() -> None:
    assert decide(a_rule(required=False), some_facts(), NEVER, session_id="s", now=NOW) == Release(
        "not_covered"
    )


def test_whoever_has_what_is_asked_is_let_go() -> None:
    assert decide(a_rule(), some_facts(an_authenticator()), NEVER, session_id="s", now=NOW) == Release(
        "covered"
    )


def test_whoever_lacks_something_is_held_and_told_what_and_until_when() -> None:
    rule = a_rule(name="Staff", postpone={"times": 2})
    assert decide(rule, some_facts(), later_in("other"), session_id="s", now=NOW) == Interrupt(
        "unregistered", Gap(("email",), 1), Postponement(True, 1, None), "Staff"
    )


def test_a_session_in_which_later_was_said_is_let_go() -> None:
    rule = a_rule(postpone={"times": 1})
    assert decide(rule, some_facts(), later_in("s"), session_id="s", now=NOW) == Release("postponed")


def test_the_next_session_is_held() -> None:
    rule = a_rule(postpone={"times": 1})
    decision = decide(rule, some_facts(), later_in("s"), session_id="next", now=NOW)
    assert isinstance(decision, Interrupt)
    assert not decision.postponement.allowed


@given(rules(), facts, authenticators, postponements, st.sampled_from(SESSIONS))
def test_registering_more_never_turns_a_release_into_an_interruption(
    rule: Rule, registered: Facts, another: RegisteredAuthenticator, said: Postponements, session: str
) -> None:
    more = dataclasses.replace(registered, registered=(*registered.registered, another))
    if isinstance(decide(rule, registered, said, session_id=session, now=NOW), Release):
        assert isinstance(decide(rule, more, said, session_id=session, now=NOW), Release)


@given(rules(), facts, postponements, postponements, st.sampled_from(SESSIONS))
def test_whoever_is_covered_is_let_go_whatever_was_put_off(
    rule: Rule, registered: Facts, said: Postponements, otherwise: Postponements, session: str
) -> None:
    if decide(rule, registered, said, session_id=session, now=NOW) == Release("covered"):
        assert decide(rule, registered, otherwise, session_id=session, now=NOW) == Release("covered")


@given(rules(), facts, postponements, st.sampled_from(SESSIONS))
def test_gate_and_report_cannot_disagree(
    rule: Rule, registered: Facts, said: Postponements, session: str
) -> None:
    decision = decide(rule, registered, said, session_id=session, now=NOW)
    missing = gap(rule, registered, now=NOW)
    if not rule.required:
        assert decision == Release("not_covered")
    elif not missing:
        assert decision == Release("covered")
    elif still_postponed(rule, said, session, now=NOW):
        assert decision == Release("postponed")
    else:
        postponement = may_postpone(rule, said, now=NOW)
        assert decision == Interrupt(missing.why, missing, postponement, rule.name)


@given(rules(), facts, postponements)
def test_a_sign_in_without_a_session_is_never_let_go_as_postponed(
    rule: Rule, registered: Facts, said: Postponements
) -> None:
    assert decide(rule, registered, said, session_id="", now=NOW) != Release("postponed")


@given(rules(), facts, postponements, st.sampled_from(SESSIONS))
def test_a_frozen_person_is_treated_as_one_who_registered_nothing(
    rule: Rule, registered: Facts, said: Postponements, session: str
) -> None:
    frozen = dataclasses.replace(registered, frozen=True)
    expected = decide(rule, Facts(), said, session_id=session, now=NOW)
    assert decide(rule, frozen, said, session_id=session, now=NOW) == expected
