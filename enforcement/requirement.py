"""What is missing: the one function that gate, portal and reports all ask (design rule 12)."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from enforcement.policy import COUNTED_ONCE, Purpose, Rule
from enforcement.proof import NEVER_REGISTERED
from store.authenticators import Authenticator
from store.gate_facts import GateFacts
from store.people import Doubt, Evidence


@dataclass(frozen=True, slots=True)
class RegisteredAuthenticator:
    """What a rule looks at."""

    kind: str
    confirmed_at: dt.datetime
    trusted_from: dt.datetime
    suspended: bool = False
    confirmed_version: int = 0
    """The newest version of the policy when it was last confirmed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What somebody registered; nothing by default."""

    registered: tuple[RegisteredAuthenticator, ...] = ()
    frozen: bool = False
    """Recovery is frozen: nothing registered counts until it is unfrozen."""
    doubts: tuple[Doubt, ...] = ()
    """What was confirmed before one of them must be confirmed again."""
    seen_at: dt.datetime | None = None
    """When the gate last let the person go; None where nobody knows, which is no evidence of absence."""

    @classmethod
    def from_gate(cls, facts: GateFacts | None) -> "Facts":
        """Take what the gate read; None is somebody never seen."""
        if facts is None:
            return cls()
        registered = (
            RegisteredAuthenticator(
                one.kind, one.confirmed_at, one.trusted_from, one.suspended, one.confirmed_version
            )
            for one in facts.authenticators
        )
        return cls(tuple(registered), facts.frozen, facts.doubts, facts.seen_at)

    @classmethod
    def from_authenticators(
        cls,
        authenticators: Iterable[Authenticator],
        *,
        frozen: bool,
        doubts: tuple[Doubt, ...] = (),
        seen_at: dt.datetime | None = None,
    ) -> "Facts":
        """Take what the portal read; doubts and absence matter only to what is stale."""
        registered = (
            RegisteredAuthenticator(
                one.kind,
                one.confirmed_at,
                one.trusted_from,
                one.suspended_at is not None,
                one.confirmed_version,
            )
            for one in authenticators
        )
        return cls(tuple(registered), frozen, doubts, seen_at)


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing; falsy when nothing is."""

    missing_kinds: tuple[str, ...] = ()
    """The rule's kinds of which nothing is registered, in its order; empty unless `more` is positive."""
    more: int = 0
    """How many more must be registered."""
    stale: tuple[str, ...] = ()
    """Kinds that must be confirmed again, each once, in the rule's order."""
    registered: int = 0
    """How many count already, stale ones included."""

    def __bool__(self) -> bool:
        return self.more > 0 or bool(self.stale)

    @property
    def why(self) -> str:
        """`unregistered`, `too_few` or `stale`; empty when nothing is missing."""
        if self.more:
            return "too_few" if self.registered else "unregistered"
        return "stale" if self.stale else ""


def gap(rule: Rule, facts: Facts, *, now: dt.datetime) -> Gap:
    """Return what a person lacks under a rule.

    An authenticator that is not trusted yet counts here, though it proves nothing in a reset (S1). A stale
    one matters only while the fresh ones alone are not enough, so that registering more never asks more.
    """
    counted = [] if facts.frozen else [one for one in facts.registered if _counts(rule, one)]
    fresh = [one for one in counted if not _is_stale(rule, facts, one, now)]
    if not _lacking(rule, fresh):
        return Gap(registered=len(counted))
    more = _lacking(rule, counted)
    kinds = {one.kind for one in counted}
    stale = {one.kind for one in counted if one not in fresh}
    return Gap(
        missing_kinds=tuple(kind for kind in rule.register_kinds if more and kind not in kinds),
        more=more,
        stale=tuple(kind for kind in rule.kinds if kind in stale),
        registered=len(counted),
    )


def _is_stale(rule: Rule, facts: Facts, one: RegisteredAuthenticator, now: dt.datetime) -> bool:
    """Tell whether something must be confirmed again: exactly so many days after it was, or for cause."""
    return (
        _is_over(rule.reconfirm_days, one.confirmed_at, now)
        or one.confirmed_version < rule.reconfirm_below_version
        or any(one.confirmed_at < doubt.at for doubt in facts.doubts if _counts_doubt(rule, doubt))
        or _was_away(rule, facts, one, now)
    )


def _is_over(days: int, since: dt.datetime, now: dt.datetime) -> bool:
    return bool(days) and now - since >= dt.timedelta(days=days)


def _was_away(rule: Rule, facts: Facts, one: RegisteredAuthenticator, now: dt.datetime) -> bool:
    last = facts.seen_at
    return last is not None and _is_over(rule.reconfirm_absence_days, max(last, one.confirmed_at), now)


def _counts_doubt(rule: Rule, doubt: Doubt) -> bool:
    return doubt.why == Evidence.ASKED or doubt.why in rule.reconfirm_on


def usable(
    rule: Rule, facts: Facts, purpose: Purpose, *, now: dt.datetime
) -> tuple[RegisteredAuthenticator, ...]:
    """Return what proves something now: of the purpose's kinds, trusted, not suspended."""
    if facts.frozen or not rule.allows(purpose):
        return ()
    kinds = rule.proving_kinds(purpose)
    return tuple(
        one for one in facts.registered if one.kind in kinds and not one.suspended and one.trusted_from <= now
    )


def may_prove(rule: Rule, facts: Facts, purpose: Purpose, *, now: dt.datetime) -> bool:
    """Tell whether enough kinds prove something now to pass every gate."""
    proof = rule.proofs[purpose]
    kinds = {one.kind for one in usable(rule, facts, purpose, now=now)} | NEVER_REGISTERED
    return rule.allows(purpose) and not facts.frozen and proof.fewest_more((), kinds) is not None


def _counts(rule: Rule, authenticator: RegisteredAuthenticator) -> bool:
    return not authenticator.suspended and authenticator.kind in rule.kinds


def _lacking(rule: Rule, counted: list[RegisteredAuthenticator]) -> int:
    # Each proof of a reset is of another kind, so two of one kind may still be too few.
    kinds = frozenset(one.kind for one in counted)
    number = len([one for one in counted if one.kind not in COUNTED_ONCE]) + len(kinds & COUNTED_ONCE)
    return max(rule.register_count - number, rule.proofs["reset"].lacking(kinds, rule.register_kinds), 0)
