"""Rules, facts and postponements, made up by hand or by hypothesis."""

import datetime as dt
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from enforcement.policy import COUNTED_ONCE, KINDS, Policy, Rule, Who, from_document
from enforcement.proof import NEVER_FIRST, NEVER_REGISTERED, ProofRule
from enforcement.requirement import Facts, RegisteredAuthenticator
from store.people import Postponements, session_digest

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SESSIONS = [f"session {number}" for number in range(6)]


def a_rule(**fields: Any) -> Rule:
    """A rule for everyone that asks for one e-mail address and never for a confirmation."""
    settings = {"name": "Everyone", "who": {"everyone": True}, "kinds": ["email"], "reconfirm_days": 0}
    return Rule.model_validate(settings | fields)


def a_policy(*rules: dict[str, Any]) -> Policy:
    """A policy of rules that are for everyone unless they say otherwise."""
    plain = {"who": {"everyone": True}, "reconfirm_days": 0}
    named = [{"name": f"Rule {number}"} | plain | rule for number, rule in enumerate(rules)]
    return from_document({"rules": named})


def an_authenticator(
    kind: str = "email", *, age: dt.timedelta = DAY, trusted_in: dt.timedelta = -DAY, suspended: bool = False
) -> RegisteredAuthenticator:
    """An e-mail address that was confirmed yesterday and proves something."""
    return RegisteredAuthenticator(kind, NOW - age, NOW + trusted_in, suspended)


def some_facts(*authenticators: RegisteredAuthenticator, frozen: bool = False) -> Facts:
    return Facts(authenticators, frozen)


def later_in(*sessions: str, first: dt.datetime = NOW) -> Postponements:
    """Registration was put off in these sessions."""
    digests = frozenset(session_digest(session) for session in sessions)
    return Postponements(len(digests), first if sessions else None, digests)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kinds = draw(st.permutations(KINDS).map(tuple))
    kinds = kinds[: draw(st.integers(1, len(KINDS)))]
    assume(not NEVER_FIRST.issuperset(set(kinds) - NEVER_REGISTERED))
    register = draw(st.integers(1, 1 if COUNTED_ONCE.issuperset(kinds) else 5))
    reset = draw(st.integers(1, 3))
    weights = draw(st.dictionaries(st.sampled_from(kinds), st.integers(1, 3)))
    weight = draw(st.sampled_from([0, 0, 2, 4]))
    different = draw(st.booleans())
    proof = ProofRule(kinds, reset, weight, tuple(weights.items()), different)
    assume(proof.fewest_more((), kinds) is not None)
    assume(reset <= register or NEVER_REGISTERED.intersection(kinds))
    until = st.dates(NOW.date() - 30 * DAY, NOW.date() + 30 * DAY)
    return Rule.model_validate(
        {
            "name": "Rule",
            "who": Who(everyone=True),
            "required": draw(st.sampled_from([True, True, True, False])),
            "kinds": kinds,
            "register": register,
            "reset": reset,
            "weights": weights,
            "reset_weight": weight,
            "different_media": different,
            "reset_allowed": draw(st.booleans()),
            "unlock_allowed": draw(st.booleans()),
            "reconfirm_days": draw(st.sampled_from([0, 1, 30, 730])),
            "postpone": {
                "times": draw(st.integers(0, 4)),
                "until": draw(st.none() | until),
                "days": draw(st.none() | st.integers(1, 30)),
            },
        }
    )


authenticators = st.builds(
    RegisteredAuthenticator,
    kind=st.sampled_from([*KINDS, "unknown"]),
    confirmed_at=st.integers(-5, 800).map(lambda days: NOW - days * DAY),
    trusted_from=st.integers(-5, 5).map(lambda days: NOW + days * DAY),
    suspended=st.booleans(),
)

facts = st.builds(Facts, st.lists(authenticators, max_size=6).map(tuple), st.booleans())

postponements = st.builds(
    lambda sessions, days: later_in(*sessions, first=NOW - days * DAY),
    st.sets(st.sampled_from(SESSIONS), max_size=5),
    st.integers(0, 40),
)
