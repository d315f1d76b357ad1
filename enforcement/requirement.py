"""What is missing: the one function that gate, portal and reports all ask (design rule 12)."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from enforcement.policy import COUNTED_ONCE, Purpose, Rule
from enforcement.proof import NEVER_REGISTERED
from store.authenticators import Authenticator
from store.gate_facts import GateFacts


@dataclass(frozen=True, slots=True)
class RegisteredAuthenticator:
    """What a rule looks at."""

    kind: str
    confirmed_at: dt.datetime
    trusted_from: dt.datetime
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What somebody registered; nothing by default."""

    registered: tuple[RegisteredAuthenticator, ...] = ()
    frozen: bool = False
    """Recovery is frozen: nothing registered counts until it is unfrozen."""

    @classmethod
    def from_gate(cls, facts: GateFacts | None) -> "Facts":
        """Take what the gate read; None is somebody never seen."""
        if facts is None:
            return cls()
        registered = (
            RegisteredAuthenticator(one.kind, one.confirmed_at, one.trusted_from, one.suspended)
            for one in facts.authenticators
        )
        return cls(tuple(registered), facts.frozen)

    @classmethod
    def from_authenticators(cls, authenticators: Iterable[Authenticator], *, frozen: bool) -> "Facts":
        """Take what the portal read."""
        registered = (
            RegisteredAuthenticator(
                one.kind, one.confirmed_at, one.trusted_from, one.suspended_at is not None
            )
            for one in authenticators
        )
        return cls(tuple(registered), frozen)


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


class _Dated(Protocol):
    @property
    def confirmed_at(self) -> dt.datetime: ...


def gap(rule: Rule, facts: Facts, *, now: dt.datetime) -> Gap:
    """Return what a person lacks under a rule.

    An authenticator that is not trusted yet counts here, though it proves nothing in a reset (S1). A stale
    one matters only while the fresh ones alone are not enough, so that registering more never asks more.
    """
    counted = [] if facts.frozen else [one for one in facts.registered if _counts(rule, one)]
    fresh = [one for one in counted if not is_stale(rule, one, now=now)]
    if not _lacking(rule, fresh):
        return Gap(registered=len(counted))
    more = _lacking(rule, counted)
    kinds = {one.kind for one in counted}
    stale = {one.kind for one in counted if is_stale(rule, one, now=now)}
    return Gap(
        missing_kinds=tuple(kind for kind in rule.register_kinds if more and kind not in kinds),
        more=more,
        stale=tuple(kind for kind in rule.kinds if kind in stale),
        registered=len(counted),
    )


def is_stale(rule: Rule, authenticator: _Dated, *, now: dt.datetime) -> bool:
    """Tell whether an authenticator must be confirmed again: exactly `reconfirm_days` after it was."""
    lives = dt.timedelta(days=rule.reconfirm_days)
    return bool(lives) and now - authenticator.confirmed_at >= lives


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
