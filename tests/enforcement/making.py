"""Rules, facts and postponements, made up by hand or by hypothesis."""

import dataclasses
import datetime as dt
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from enforcement.policy import COUNTED_ONCE, KINDS, Policy, Rule, from_document
from enforcement.proof import NEVER_FIRST, NEVER_REGISTERED, ProofRule
from enforcement.requirement import Facts, RegisteredAuthenticator
from enforcement.situation import Situation
from enforcement.who import WEEKDAYS, Who
from store.gate_facts import AuthenticatorFact, GateFacts
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

NAMES = ["a", "b", "c"]
_some_names = st.sets(st.sampled_from(NAMES), max_size=2).map(sorted)
NETWORKS = ["192.0.2.0/24", "192.0.2.128/25", "2001:db8::/32"]
ADDRESSES = ["192.0.2.7", "192.0.2.200", "198.51.100.1", "2001:db8::7", "::ffff:192.0.2.7"]
PROTOCOLS = ["oidc", "saml", "token"]
ZONES = ["UTC", "Europe/Amsterdam", "Asia/Kathmandu"]
_hours = st.fixed_dictionaries(
    {
        "days": st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(sorted),
        "begins": st.times(),
        "ends": st.times(),
        "zone": st.sampled_from(ZONES),
    }
)


@st.composite
def each_who(draw: st.DrawFn) -> Who:
    named = {name: draw(_some_names) for name in ("groups", "roles", "subjects")}
    ring = {"percent": draw(st.sampled_from([1, 30, 60, 100])), "salt": draw(st.sampled_from(["x", "y"]))}
    return Who.model_validate(
        {
            **named,
            "everyone": draw(st.booleans()) or not any(named.values()),
            "ring": draw(st.sampled_from([None, None, ring])),
            "clients": draw(_some_names | st.just(["*"])),
            "networks": draw(st.sets(st.sampled_from(NETWORKS), max_size=2).map(sorted)),
            "protocols": draw(st.sets(st.sampled_from(PROTOCOLS), max_size=2).map(sorted)),
            "times": draw(st.lists(_hours, max_size=1)),
        }
    )


ASKING = [
    a_rule(required=False),
    a_rule(),
    a_rule(kinds=["totp", "email"], register=2, on_fault="deny"),
    a_rule(kinds=["totp"], reconfirm_days=30),
    a_rule(postpone={"times": 2, "days": 5}),
]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Up to four rules for all sorts of people and sign-ins, some of which only report."""
    drawn = [
        draw(st.sampled_from(ASKING)).model_copy(
            update={"name": f"Rule {number}", "who": draw(each_who()), "report_only": draw(st.booleans())}
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    return Policy(version=3, rules=tuple(drawn))


situations = st.builds(
    Situation,
    source=st.just("https://idp.example"),
    subject=st.sampled_from(NAMES),
    groups=st.frozensets(st.sampled_from(NAMES)),
    roles=st.frozensets(st.sampled_from(NAMES)),
    client_id=st.sampled_from(NAMES),
    protocol=st.sampled_from(PROTOCOLS),
    address=st.sampled_from(ADDRESSES),
    at=st.integers(0, 7 * 24 * 60).map(lambda minutes: NOW + minutes * DAY / (24 * 60)),
)


@st.composite
def with_less_known(draw: st.DrawFn, situation: Situation) -> Situation:
    """The same sign-in, of which some facts are hidden."""
    unknown: dict[str, Any] = {"client_id": "", "protocol": "", "address": "", "groups": None, "roles": None}
    hidden = draw(st.sets(st.sampled_from(sorted(unknown))))
    return dataclasses.replace(situation, **{name: unknown[name] for name in hidden})


postponements = st.builds(
    lambda sessions, days: later_in(*sessions, first=NOW - days * DAY),
    st.sets(st.sampled_from(SESSIONS), max_size=5),
    st.integers(0, 40),
)

gate_facts = st.none() | st.builds(
    lambda registered, frozen, put_off: GateFacts(
        "person",
        4,
        frozen,
        tuple(
            AuthenticatorFact(each.kind, each.confirmed_at, each.trusted_from, each.suspended)
            for each in registered
        ),
        put_off,
    ),
    st.lists(authenticators, max_size=4),
    st.booleans(),
    postponements,
)
