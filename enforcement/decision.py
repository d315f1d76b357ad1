"""Decisions: values, made without looking anything up."""

import datetime as dt
from dataclasses import dataclass

from enforcement.grace import Postponement, may_postpone, still_postponed
from enforcement.policy import Rule
from enforcement.requirement import Facts, Gap, gap
from store.people import Postponements


@dataclass(frozen=True, slots=True)
class Release:
    """Let the sign-in go."""

    reason: str
    """`not_covered` (no rule, or one that asks nothing), `covered`, `postponed`, `maintenance` or `fault`."""
    policy_version: int = 0
    """Under which version somebody was found covered; 0 for every other reason."""
    person_epoch: int = 0
    """The person's epoch then; both go into the "satisfied" claim (S12)."""
    reported: tuple[str, ...] = ()
    """Names of the rules that only report and would have interrupted."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Hold the sign-in and send the person to the registration portal."""

    reason: str
    """The gap's: `unregistered`, `too_few` or `stale`."""
    gap: Gap
    postponement: Postponement
    rule_name: str
    reported: tuple[str, ...] = ()
    """Names of the rules that only report and would have interrupted."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse the sign-in."""

    reason: str
    """`fault`."""


Decision = Release | Interrupt | Deny


def decide(
    rule: Rule | None, facts: Facts, postponements: Postponements, *, session_id: str, now: dt.datetime
) -> Release | Interrupt:
    """Decide about one sign-in.

    Args:
        rule: The first that matches; None where none does.
        session_id: The IdP session; empty where the provider states none, which no postponement covers.
    """
    if rule is None or not rule.required:
        return Release("not_covered")
    missing = gap(rule, facts, now=now)
    if not missing:
        return Release("covered")
    if still_postponed(rule, postponements, session_id, now=now):
        return Release("postponed")
    return Interrupt(missing.why, missing, may_postpone(rule, postponements, now=now), rule.name)
