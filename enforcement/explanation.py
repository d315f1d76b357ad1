"""A sign-in decided, with every rule that spoke: what the gate does, and what "what if" shows."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from enforcement.decision import Interrupt, Release, decide
from enforcement.policy import GroupsUnknown, Heard, Policy, Rule
from enforcement.requirement import Facts
from enforcement.situation import Situation
from store.gate_facts import GateFacts
from store.people import Postponements

ReadFacts = Callable[[], GateFacts | None]
"""Reads what the gate knows of the person; called once at most, and only if some rule asks for something."""
_NEVER = Postponements()


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one rule had to say."""

    heard: Heard
    decision: Release | Interrupt | None
    """What it decides by itself; None where it was not asked."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision, and how it came about."""

    decision: Release | Interrupt
    policy_version: int
    spoken: tuple[Spoken, ...]
    """Every rule of the policy, in its order."""
    facts: GateFacts | None = None
    """What was read of the person; None where nothing was asked, or nobody known."""
    withheld: Interrupt | None = None
    """The interruption that maintenance kept from the person."""

    @property
    def asks_about_absence(self) -> bool:
        """Whether any rule, one that only reports too, asks after a long absence."""
        return any(
            each.decision is not None and each.heard.rule.reconfirm_absence_days > 0 for each in self.spoken
        )


class _Once:
    """Reads the facts when they are first needed."""

    def __init__(self, read: ReadFacts) -> None:
        self._read: ReadFacts | None = read
        self.known: GateFacts | None = None

    def __call__(self) -> GateFacts | None:
        if self._read:
            self.known, self._read = self._read(), None
        return self.known


def explain(policy: Policy, situation: Situation, read: ReadFacts, *, session_id: str) -> Explanation:
    """Decide about one sign-in.

    Where several rules may be meant, because something is unknown, the first that interrupts decides.

    Args:
        session_id: The IdP session; empty where the provider states none, which no postponement covers.

    Raises:
        GroupsUnknown: It depends on groups or roles that were not learnt.
    """
    facts, moment = _Once(read), situation.moment
    spoken = tuple(
        Spoken(heard, _decided(policy, heard, facts, situation, session_id))
        for heard in policy.heard(situation)
    )
    decision = _strictest(spoken)
    if reported := _reported(spoken):
        decision = dataclasses.replace(decision, reported=reported)
    if isinstance(decision, Interrupt) and policy.maintenance and policy.maintenance.includes(moment):
        released = Release("maintenance", reported=decision.reported)
        return Explanation(released, policy.version, spoken, facts.known, withheld=decision)
    return Explanation(decision, policy.version, spoken, facts.known)


def _decided(
    policy: Policy, heard: Heard, read: ReadFacts, situation: Situation, session_id: str
) -> Release | Interrupt | None:
    if heard.part not in {"possible", "reports"}:
        return None
    if "people" in heard.fit.unknown:
        if heard.part == "reports":
            return None
        raise GroupsUnknown
    return _alone(policy, heard.rule, read, situation, session_id)


def _alone(
    policy: Policy, rule: Rule, read: ReadFacts, situation: Situation, session_id: str
) -> Release | Interrupt:
    if not rule.required:
        return Release("not_covered")
    known = read()
    postponements = known.postponements if known else _NEVER
    facts = Facts.from_gate(known)
    decision = decide(rule, facts, postponements, session_id=session_id, now=situation.moment)
    if known is not None and decision.reason == "covered":
        return Release("covered", policy.version, known.epoch)
    return decision


def _strictest(spoken: tuple[Spoken, ...]) -> Release | Interrupt:
    decisions = [each.decision for each in spoken if each.decision and each.heard.part == "possible"]
    stops = (each for each in decisions if isinstance(each, Interrupt))
    # Security: claims rest on "covered" (S12), so it is said only where every rule that asks is content.
    releases = (each for reason in ("postponed", "covered") for each in decisions if each.reason == reason)
    return next(stops, None) or next(releases, None) or Release("not_covered")


def _reported(spoken: tuple[Spoken, ...]) -> tuple[str, ...]:
    return tuple(
        each.heard.rule.name
        for each in spoken
        if each.heard.part == "reports" and isinstance(each.decision, Interrupt)
    )
