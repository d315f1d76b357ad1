import dataclasses
import datetime as dt
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.policy import COUNTED_ONCE, Rule
from enforcement.requirement import Facts, Gap, RegisteredAuthenticator, gap, may_prove, usable
from store.authenticators import Authenticator
from store.gate_facts import AuthenticatorFact, GateFacts
from store.people import Doubt
from tests.enforcement.making import (
    DAY,
    NOW,
    a_rule,
    an_authenticator,
    authenticators,
    facts,
    rules,
    some_facts,
)

MOMENT = dt.timedelta(microseconds=1)


def test_nothing_registered_is_a_gap() -> None:
    missing = gap(a_rule(kinds=["email", "totp"]), some_facts(), now=NOW)
    assert missing == Gap(missing_kinds=("email", "totp"), more=1)
    assert missing.why == "unregistered"


def test_what_the_rule_asks_for_is_no_gap() -> None:
    missing = gap(a_rule(), some_facts(an_authenticator()), now=NOW)
    assert not missing
    assert missing.why == ""


def test_too_few_says_how_many_more_and_which_kinds_are_left() -> None:
    rule = a_rule(kinds=["email", "totp"], register=2)
    missing = gap(rule, some_facts(an_authenticator()), now=NOW)
    assert (missing.why, missing.more, missing.missing_kinds) == ("too_few", 1, ("totp",))


def test_kinds_that_the_rule_does_not_list_do_not_count() -> None:
    assert gap(a_rule(), some_facts(an_authenticator("totp")), now=NOW).why == "unregistered"


def test_two_of_one_kind_are_enough_to_register_two() -> None:
    rule = a_rule(kinds=["email", "totp"], register=2)
    assert not gap(rule, some_facts(an_authenticator(), an_authenticator()), now=NOW)


def test_two_lists_of_recovery_codes_count_as_one() -> None:
    rule = a_rule(kinds=["email", "recovery_codes"], register=2)
    codes = an_authenticator("recovery_codes")
    missing = gap(rule, some_facts(codes, codes), now=NOW)
    assert (missing.why, missing.more, missing.missing_kinds) == ("too_few", 1, ("email",))
    assert not gap(rule, some_facts(codes, an_authenticator()), now=NOW)


def test_two_of_one_kind_are_too_few_where_a_reset_proves_two_kinds() -> None:
    rule = a_rule(kinds=["email", "totp"], register=2, reset=2)
    missing = gap(rule, some_facts(an_authenticator(), an_authenticator()), now=NOW)
    assert (missing.more, missing.missing_kinds) == (1, ("totp",))


def test_what_is_suspended_does_not_count() -> None:
    assert gap(a_rule(), some_facts(an_authenticator(suspended=True)), now=NOW).why == "unregistered"


def test_nothing_counts_while_recovery_is_frozen() -> None:
    registered = some_facts(an_authenticator(), frozen=True)
    assert gap(a_rule(), registered, now=NOW).why == "unregistered"
    assert not may_prove(a_rule(), registered, "reset", now=NOW)


def test_what_is_not_trusted_yet_counts_at_the_gate_and_proves_nothing_in_a_reset() -> None:
    registered = some_facts(an_authenticator(trusted_in=MOMENT))
    assert not gap(a_rule(), registered, now=NOW)
    assert usable(a_rule(), registered, "reset", now=NOW) == ()
    assert not may_prove(a_rule(), registered, "reset", now=NOW)
    assert may_prove(a_rule(), registered, "reset", now=NOW + MOMENT)


def test_a_reset_of_two_gates_needs_two_kinds_that_prove_something() -> None:
    rule = a_rule(kinds=["email", "totp"], register=2, reset=2)
    assert may_prove(rule, some_facts(an_authenticator(), an_authenticator("totp")), "reset", now=NOW)
    assert not may_prove(rule, some_facts(an_authenticator(), an_authenticator()), "reset", now=NOW)


def test_where_no_reset_is_allowed_nothing_proves_anything() -> None:
    assert not may_prove(a_rule(reset_allowed=False), some_facts(an_authenticator()), "reset", now=NOW)
    assert may_prove(a_rule(reset_allowed=False), some_facts(an_authenticator()), "unlock", now=NOW)


@pytest.mark.parametrize(
    ("age", "why"), [(180 * DAY - MOMENT, ""), (180 * DAY, "stale"), (900 * DAY, "stale")]
)
def test_it_is_stale_exactly_after_the_days_of_the_rule(age: dt.timedelta, why: str) -> None:
    assert gap(a_rule(reconfirm_days=180), some_facts(an_authenticator(age=age)), now=NOW).why == why


def test_zero_days_never_ask_again() -> None:
    assert not gap(a_rule(reconfirm_days=0), some_facts(an_authenticator(age=9999 * DAY)), now=NOW)


def test_stale_kinds_are_named_once_in_the_rules_order() -> None:
    rule = a_rule(kinds=["totp", "email"], register=3, reconfirm_days=1)
    old = [an_authenticator(kind, age=2 * DAY) for kind in ("email", "totp", "email")]
    assert gap(rule, some_facts(*old), now=NOW).stale == ("totp", "email")


def test_an_old_one_beside_enough_fresh_ones_asks_nothing() -> None:
    rule = a_rule(reconfirm_days=180)
    assert not gap(rule, some_facts(an_authenticator(age=DAY), an_authenticator(age=400 * DAY)), now=NOW)


def doubted(why: str, age: dt.timedelta = DAY, at: dt.timedelta = MOMENT) -> Facts:
    """Facts of somebody who confirmed an address some time ago, put in doubt a moment after that."""
    return Facts((an_authenticator(age=age),), doubts=(Doubt(why, NOW - age + at),))


@pytest.mark.parametrize(
    ("why", "reconfirm_on", "stale"),
    [
        ("asked", [], True),
        ("undeliverable", ["undeliverable"], True),
        ("undeliverable", ["directory"], False),
        ("directory", ["directory"], True),
        ("directory", [], False),
        ("something new", ["undeliverable", "directory"], False),
    ],
)
def test_evidence_asks_under_rules_that_name_it_and_an_operator_always(
    why: str, reconfirm_on: list[str], stale: bool
) -> None:
    assert bool(gap(a_rule(reconfirm_on=reconfirm_on), doubted(why), now=NOW)) is stale


def test_what_was_confirmed_since_is_not_in_doubt() -> None:
    assert gap(a_rule(), doubted("asked"), now=NOW).why == "stale"
    assert not gap(a_rule(), doubted("asked", at=dt.timedelta(0)), now=NOW)
    assert not gap(a_rule(), doubted("asked", at=-MOMENT), now=NOW)


@pytest.mark.parametrize(
    ("below", "confirmed", "stale"), [(7, 6, True), (7, 7, False), (7, 8, False), (0, 0, False)]
)
def test_everyone_below_a_version_confirms_again(below: int, confirmed: int, stale: bool) -> None:
    facts = some_facts(dataclasses.replace(an_authenticator(), confirmed_version=confirmed))
    assert bool(gap(a_rule(reconfirm_below_version=below), facts, now=NOW)) is stale


@pytest.mark.parametrize(("seen", "stale"), [(90 * DAY, True), (90 * DAY - MOMENT, False), (None, False)])
def test_a_long_absence_asks_and_an_unknown_one_does_not(seen: dt.timedelta | None, stale: bool) -> None:
    seen_at = None if seen is None else NOW - seen
    facts = Facts((an_authenticator(age=500 * DAY),), seen_at=seen_at)
    assert bool(gap(a_rule(reconfirm_absence_days=90), facts, now=NOW)) is stale
    assert not gap(a_rule(), facts, now=NOW)


def test_after_an_absence_one_confirmation_is_enough() -> None:
    facts = Facts((an_authenticator(age=DAY),), seen_at=NOW - 900 * DAY)
    assert not gap(a_rule(reconfirm_absence_days=90), facts, now=NOW)


def test_gate_and_portal_make_the_same_facts() -> None:
    fact = AuthenticatorFact("email", NOW, NOW + DAY, True, 4)
    doubts = (Doubt("asked", NOW),)
    from_gate = Facts.from_gate(
        GateFacts("p", 0, frozen=True, authenticators=(fact,), doubts=doubts, seen_at=NOW)
    )
    authenticator = Authenticator(
        id="a",
        person_id="p",
        kind="email",
        secret=b"",
        created_at=NOW,
        confirmed_at=NOW,
        trusted_from=NOW + DAY,
        suspended_at=NOW,
        provenance="self",
        last_step=None,
        number=1,
        confirmed_version=4,
    )
    assert from_gate == Facts.from_authenticators([authenticator], frozen=True, doubts=doubts, seen_at=NOW)
    assert Facts.from_gate(None) == Facts()


@given(rule=rules(), registered=facts, another=authenticators)
def test_registering_more_never_asks_more(
    rule: Rule, registered: Facts, another: RegisteredAuthenticator
) -> None:
    more = dataclasses.replace(registered, registered=(*registered.registered, another))
    assert gap(rule, more, now=NOW).more <= gap(rule, registered, now=NOW).more
    if not gap(rule, registered, now=NOW):
        assert not gap(rule, more, now=NOW)


@given(rule=rules(), registered=facts)
def test_the_order_of_what_is_registered_does_not_matter(rule: Rule, registered: Facts) -> None:
    reversed_ = dataclasses.replace(registered, registered=registered.registered[::-1])
    assert gap(rule, registered, now=NOW) == gap(rule, reversed_, now=NOW)


@given(rule=rules(), registered=facts, days=st.integers(0, 1000))
def test_time_alone_never_closes_a_gap(rule: Rule, registered: Facts, days: int) -> None:
    if not gap(rule, registered, now=NOW + days * DAY):
        assert not gap(rule, registered, now=NOW)


def any_number_of(rule: Rule) -> str:
    """A kind of which each one counts, where the rule has one."""
    return next((kind for kind in rule.kinds if kind not in COUNTED_ONCE), rule.kinds[0])


@given(rule=rules(), registered=facts)
def test_adding_the_missing_kinds_and_confirming_everything_closes_the_gap(
    rule: Rule, registered: Facts
) -> None:
    confirmed = [
        dataclasses.replace(one, confirmed_at=NOW) for one in registered.registered if not registered.frozen
    ]
    added = [RegisteredAuthenticator(kind, NOW, NOW) for kind in rule.kinds]
    enough = added + [RegisteredAuthenticator(any_number_of(rule), NOW, NOW)] * rule.register
    assert not gap(rule, Facts((*confirmed, *enough)), now=NOW)


@given(rule=rules(), registered=facts)
def test_a_gap_tells_exactly_what_closes_it(rule: Rule, registered: Facts) -> None:
    missing = gap(rule, registered, now=NOW)
    if registered.frozen or not missing:
        return
    confirmed = tuple(dataclasses.replace(one, confirmed_at=NOW) for one in registered.registered)
    # Not every choice closes it: a passkey asks for another kind beside it.
    choices = combinations([*missing.missing_kinds, *[any_number_of(rule)] * missing.more], missing.more)
    closing = [
        added
        for kinds in choices
        for added in [tuple(RegisteredAuthenticator(kind, NOW, NOW) for kind in kinds)]
        if not gap(rule, Facts(confirmed + added), now=NOW)
    ]
    assert closing
    if missing.more:
        assert gap(rule, Facts(confirmed + closing[0][:-1]), now=NOW).more == 1


@given(rule=rules(), registered=facts)
def test_a_gap_is_told_with_one_reason_that_fits(rule: Rule, registered: Facts) -> None:
    missing = gap(rule, registered, now=NOW)
    assert bool(missing) == (missing.why in {"unregistered", "too_few", "stale"})
    assert (missing.why == "stale") == (missing.more == 0 and bool(missing.stale))
    assert missing.missing_kinds == () or missing.more > 0


@given(rule=rules(), registered=facts)
def test_whoever_is_covered_and_trusted_may_reset(rule: Rule, registered: Facts) -> None:
    trusted = tuple(dataclasses.replace(one, trusted_from=NOW) for one in registered.registered)
    covered = not gap(rule, registered, now=NOW)
    if covered:
        assert may_prove(rule, Facts(trusted), "reset", now=NOW) == rule.reset_allowed
        assert may_prove(rule, Facts(trusted), "unlock", now=NOW) == rule.unlock_allowed
