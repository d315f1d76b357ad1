"""What the gate would decide, told so that people and scripts can read it."""

from dataclasses import asdict, dataclass
from typing import Any

from enforcement.decision import Interrupt, Release
from enforcement.explanation import Explanation, Spoken
from enforcement.policy import Policy, Rule
from enforcement.situation import Situation


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision, in words that do not change."""

    decision: str
    """`release` or `interrupt`."""
    reason: str
    """See `Release` and `Interrupt`."""
    missing_kinds: tuple[str, ...] = ()
    """Of an interruption: kinds that may be registered; `more` of them must be."""
    more: int = 0
    stale: tuple[str, ...] = ()
    """Of an interruption: kinds that must be confirmed again."""
    postponements_left: int = 0
    """Of an interruption: how often "later" may be said."""
    postponable_until: str = ""
    """Of an interruption: the last day for it, as in ISO 8601; empty without such a bound."""


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What one rule had to say."""

    rule: str
    part: str
    """`decides`; `may_decide` where something that it asks for is unknown; `reports`; `against`: it does not
    match; `not_reached`: a rule before it decides."""
    against: tuple[str, ...]
    """What does not hold: `people`, `ring`, `clients`, `networks`, `protocols`, `times`."""
    unknown: tuple[str, ...]
    """What nobody can tell, in the same words."""
    verdict: Verdict | None
    """What it says by itself; None where it was not asked."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One decision with every rule that spoke."""

    at: str
    """The moment of the sign-in, as in ISO 8601."""
    policy_version: int
    """0 for a document that is not stored."""
    verdict: Verdict
    rule: str
    """The rule that decided; empty where none matched, or where several may and none of them interrupts."""
    withheld: Verdict | None
    """What the policy's maintenance kept from the person."""
    reported: tuple[str, ...]
    """Rules in report only that would have interrupted."""
    rules: tuple[RuleAnswer, ...]
    """Every rule, in its order."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def what_if(explained: Explanation, situation: Situation) -> WhatIf:
    """Tell what an explanation says."""
    return WhatIf(
        at=situation.moment.isoformat(),
        policy_version=explained.policy_version,
        verdict=_verdict(explained.decision),
        rule=_deciding(explained),
        withheld=_verdict(explained.withheld) if explained.withheld else None,
        reported=explained.decision.reported,
        rules=tuple(_answer(each) for each in explained.spoken),
    )


def exempting_rules(policy: Policy) -> tuple[Rule, ...]:
    """Return the rules that exempt people from being interrupted, in their order."""
    return tuple(rule for rule in policy.deciding_rules if not rule.required)


def _deciding(explained: Explanation) -> str:
    stop = explained.withheld or explained.decision
    if isinstance(stop, Interrupt):
        return stop.rule_name
    possible = [each.heard for each in explained.spoken if each.heard.part == "possible"]
    return possible[0].rule.name if len(possible) == 1 and possible[0].fit.matches else ""


def _answer(spoken: Spoken) -> RuleAnswer:
    heard = spoken.heard
    part: str = heard.part
    if part == "possible":
        part = "decides" if heard.fit.matches else "may_decide"
    verdict = _verdict(spoken.decision) if spoken.decision else None
    return RuleAnswer(heard.rule.name, part, heard.fit.against, heard.fit.unknown, verdict)


def _verdict(decision: Release | Interrupt) -> Verdict:
    if isinstance(decision, Release):
        return Verdict("release", decision.reason)
    missing, later = decision.gap, decision.postponement
    return Verdict(
        "interrupt",
        decision.reason,
        missing.missing_kinds,
        missing.more,
        missing.stale,
        later.left,
        later.until.isoformat() if later.until else "",
    )
