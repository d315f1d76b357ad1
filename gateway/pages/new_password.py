"""The part of a page that asks for a new password: the same in every journey that sets one.

A page renders `templates/new_password.html` with what `described` returns, and answers the live question
with `told`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flows.passwords.finding import Finding, merged
from flows.passwords.suggestion import Suggestion
from gateway import password_wording

_QUIET = frozenset((
    "length_max",
    "characters",
    "not_words",
    "repeats_max",
    "sequence_max",
    "sequence_twice",
    "class_run_max",
    "not_palindrome",
))  # fmt: skip
"""Rules that nearly everybody keeps: told to those who do not."""
_REQUIRED = {"lower_min": "lower", "upper_min": "upper", "digits_min": "digit", "specials_min": "special"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the list."""

    name: str
    sentence: str
    holds: bool | None
    is_quiet: bool


@dataclass(frozen=True, slots=True)
class NewPassword:
    """What the template shows."""

    rules: tuple[Rule, ...]
    for_managers: str
    """Value of `passwordrules`: what password managers keep to when they make one up."""
    advice: str = ""
    """About what was typed; empty where nothing was."""
    score: int | None = None
    """0 to 4; None where nothing was typed."""
    suggestion: Suggestion | None = None
    """Shown once, and typed in."""


def described(
    findings: Iterable[Finding], *, typed: str = "", suggestion: Suggestion | None = None
) -> NewPassword:
    """Return what the page shows.

    Args:
        findings: Of what was typed or suggested; of two about the same rule the stricter counts.
        typed: What they are about; nothing is said of an empty one.
        suggestion: Taken for typed.
    """
    found = merged(findings)
    has_text = bool(typed or suggestion)
    return NewPassword(
        rules=tuple(_rule(each, has_text) for each in found if not _only_advises(each)),
        for_managers=for_managers(found),
        advice=_advice(found) if has_text else "",
        score=_score(found) if has_text else None,
        suggestion=suggestion,
    )


def told(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings for the script, while somebody types; `estimate` carries the advice."""
    found = tuple(findings)
    return [
        {"rule": each.rule, "holds": each.holds, "score": _score(found), "advice": _advice(found)}
        if each.rule == "estimate"
        else {"rule": each.rule, "holds": each.holds}
        for each in found
    ]


def for_managers(findings: Iterable[Finding]) -> str:
    """Return the rules in the notation of the `passwordrules` attribute.

    Source: WHATWG HTML issue 3518 and Apple, "Password AutoFill: customizing password rules".
    """
    bounds = {each.rule: int(each.parameters.get("count", 0)) for each in findings}
    written = [f"minlength: {bounds['length_min']}"] if bounds.get("length_min") else []
    if bounds.get("length_max"):
        written.append(f"maxlength: {bounds['length_max']}")
    if bounds.get("repeats_max"):
        written.append(f"max-consecutive: {bounds['repeats_max']}")
    required = [kind for rule, kind in _REQUIRED.items() if bounds.get(rule)]
    if bounds.get("classes_min"):
        required = list(_REQUIRED.values())
    written += [f"required: {kind}" for kind in required]
    return "; ".join([*written, "allowed: ascii-printable"]) + ";"


def _rule(finding: Finding, has_text: bool) -> Rule:
    holds = finding.holds if has_text else None
    return Rule(finding.rule, password_wording.rule(finding), holds, finding.rule in _QUIET)


def _only_advises(finding: Finding) -> bool:
    return finding.rule == "estimate" and finding.holds is None


def _score(findings: Iterable[Finding]) -> int | None:
    """Return the estimate's score, but 0 for what is refused because it is easy to guess here."""
    said = {each.rule: each for each in findings}
    if any(said[rule].holds is False for rule in ("not_banned", "not_name") if rule in said):
        return 0
    return int(said["estimate"].parameters["score"]) if "estimate" in said else None


def _advice(findings: Iterable[Finding]) -> str:
    """Return what is most worth saying: why a built-on word is too little, else how hard the guess is."""
    said = {each.rule: each for each in findings}
    banned, estimate = said.get("not_banned"), said.get("estimate")
    if banned and banned.holds is False and banned.parameters:
        return password_wording.advice(banned)
    return password_wording.advice(estimate) if estimate else ""
