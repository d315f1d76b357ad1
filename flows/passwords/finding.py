"""What one rule says of one candidate; sentences are the pages' business."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from idp_plugin.errors import RefusalReason
from idp_plugin.password_rules import RuleName, Verdict

_ASKED_AT_THE_END = {
    RuleName.NOT_IN_HISTORY: RefusalReason.IN_HISTORY,
    RuleName.QUALITY: RefusalReason.TOO_SIMPLE,
}
"""Rules that only the directory can tell: its refusal is about the very rule that the page shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of a candidate password."""

    rule: str
    """A `RuleName` that ours share with the directory's, `not_banned`, `not_breached` or `estimate`; or
    `directory_<reason>`, which is known only once the directory was asked."""
    holds: bool | None
    """None where it cannot be told before the password is submitted, or where the rule only advises."""
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    """For the sentence. `count`: the rule's bound, absent where none is known. `not_banned`, where it does
    not hold: `points`, `needed`, `others` and `terms` as `banned.Score` has them, and `close_to`.
    `estimate`: `score` (0 to 4) and `warning`, as `estimate.Estimate` has them."""


def broken(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those that do not hold."""
    return tuple(finding for finding in findings if finding.holds is False)


def refusals(reasons: Iterable[RefusalReason]) -> tuple[Finding, ...]:
    """Return the directory's refusal as findings that do not hold."""
    return tuple(Finding(f"directory_{reason.value}", False) for reason in reasons)


def of_directory(verdicts: Iterable[Verdict]) -> tuple[Finding, ...]:
    """Return the verdicts of a directory's rules as findings; a bound that is not known asks for nothing."""
    return tuple(
        _of_verdict(verdict)
        for verdict in verdicts
        if verdict.rule.count or not verdict.rule.name.value.endswith(("_min", "_max"))
    )


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each rule, in the order of first mention.

    Of two with the same rule the stricter bound stands, and both must hold.
    """
    found: dict[str, Finding] = {}
    for finding in findings:
        first = found.get(finding.rule)
        found[finding.rule] = _both(first, finding) if first else finding
    return tuple(found.values())


def _of_verdict(verdict: Verdict) -> Finding:
    reason = _ASKED_AT_THE_END.get(verdict.rule.name)
    rule = f"directory_{reason.value}" if reason else verdict.rule.name.value
    return Finding(rule, verdict.holds, {"count": verdict.rule.count} if verdict.rule.count else {})


def _both(first: Finding, second: Finding) -> Finding:
    answers = {first.holds, second.holds}
    holds = False if False in answers else None if None in answers else True
    counts = [int(each.parameters["count"]) for each in (first, second) if "count" in each.parameters]
    stricter = min if first.rule.endswith("_max") else max
    parameters = {**first.parameters, **({"count": stricter(counts)} if counts else {})}
    return replace(first, holds=holds, parameters=parameters)
