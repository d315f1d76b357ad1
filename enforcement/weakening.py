"""Whether one version of the policy is weaker than another for anybody: pure, asked before it counts (S23).

People are not listed anywhere, so pairs of rules are compared: the one that decides for somebody before, and
the one that may decide for the same person afterwards. Where it cannot be told whether two rules ever meet in
one person, they are compared as if they did. A part of a rule that this module does not know counts as weaker
as soon as it differs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

from enforcement.policy import Maintenance, Policy, Postpone, Purpose, Rule
from enforcement.proof import NEVER_FIRST, ProofRule
from enforcement.who import Condition, Who

OPENED = "opened"
PURPOSES: tuple[Purpose, ...] = ("reset", "unlock", "change")
_NARROWING: tuple[Condition, ...] = ("ring", "clients", "networks", "protocols", "times")


@dataclass(frozen=True, slots=True, order=True)
class Weakening:
    """One thing that somebody would have to do no more, or that would protect them no more."""

    before: str
    """Name of the rule that decides now; empty where none does."""
    after: str
    """Name of the rule that would decide; empty where none would. For `opened`, the group or role."""
    what: str
    """Name of the rule's field, a purpose, `maintenance` or `opened`."""

    @property
    def told(self) -> str:
        """What, and of opened power which."""
        return f"{self.what} ({self.after})" if self.what == OPENED else self.what


def weakenings(before: Policy, after: Policy) -> tuple[Weakening, ...]:
    """Return in what a policy would be weaker than another for anybody; empty where in nothing."""
    found = {
        Weakening(_name(old), _name(new), what)
        for old, new in _meeting(before.deciding_rules, after.deciding_rules)
        for what in _weaker(old, new)
    }
    if _is_longer(before.maintenance, after.maintenance):
        found.add(Weakening("", "", "maintenance"))
    found |= {Weakening("", power, OPENED) for power in after.opened if not before.opens(power)}
    return tuple(sorted(found))


def _name(rule: Rule | None) -> str:
    return rule.name if rule else ""


def _meeting(before: tuple[Rule, ...], after: tuple[Rule, ...]) -> Iterator[tuple[Rule | None, Rule | None]]:
    """Yield every pair of rules that may decide for the same person; None where no rule matches."""
    for place, old in enumerate((*before, None)):
        for other, new in enumerate((*after, None)):
            if _may_meet(old, new, (*before[:place], *after[:other])):
                yield old, new


def _may_meet(old: Rule | None, new: Rule | None, earlier: tuple[Rule, ...]) -> bool:
    chosen = [rule.who for rule in (old, new) if rule]
    excluded: set[str] = set()
    for who in (rule.who for rule in earlier):
        if not all(_is_certain(who, condition, chosen) for condition in _stated(who)):
            continue
        if who.everyone:
            return False
        excluded |= _people(who)
    return all(who.everyone or _people(who) - excluded for who in chosen)


def _stated(who: Who) -> tuple[Condition, ...]:
    return tuple(condition for condition in _NARROWING if getattr(who, condition))


def _is_certain(who: Who, condition: Condition, chosen: list[Who]) -> bool:
    """Tell whether whoever meets the chosen rules meets this condition of an earlier one too."""
    return any(getattr(each, condition) and who.includes(each, (condition,)) for each in chosen)


def _people(who: Who) -> set[str]:
    named = {"group": who.groups, "role": who.roles, "subject": who.subjects}
    return {f"{sort} {name}" for sort, names in named.items() for name in names}


def _weaker(old: Rule | None, new: Rule | None) -> Iterator[str]:
    """Yield in what a rule asks for less, or protects less, than the one before it."""
    if old and old.required and not (new and new.required):
        yield "required"
    for purpose in PURPOSES:
        if new and new.allows(purpose) and _opens(old, new, purpose):
            yield purpose
    if old and new:
        yield from (name for name in type(old).model_fields if _is_weaker(name, old, new))


def _opens(old: Rule | None, new: Rule, purpose: Purpose) -> bool:
    """Tell whether any proofs are enough now that were not."""
    if old is None or not old.allows(purpose):
        return True
    return _suffices_sooner(old.proofs[purpose], new.proofs[purpose])


# Rules that differ in something else share their proofs.
@lru_cache(maxsize=1024)
def _suffices_sooner(before: ProofRule, after: ProofRule) -> bool:
    choices = _choices(after.kinds)
    return any(_is_enough(after, proved) and not _is_enough(before, proved) for proved in choices)


def _choices(kinds: tuple[str, ...]) -> Iterator[frozenset[str]]:
    for count in range(1, len(kinds) + 1):
        yield from map(frozenset, combinations(kinds, count))


def _is_enough(proof: ProofRule, proved: frozenset[str]) -> bool:
    counted = proved.intersection(proof.kinds)
    return not NEVER_FIRST.issuperset(counted) and proof.is_enough(counted)


def _is_weaker(name: str, old: Rule, new: Rule) -> bool:
    before, after = getattr(old, name), getattr(new, name)
    if before == after or name in _ELSEWHERE:
        return False
    # Security: what is not known here is weaker.
    return _FIELDS[name](before, after) if name in _FIELDS else True


def _is_longer_wait(before: Postpone, after: Postpone) -> bool:
    if not after.times:
        return False
    lasts = before.until is not None and (after.until is None or after.until > before.until)
    repeats = before.days is not None and (after.days is None or after.days > before.days)
    return after.times > before.times or lasts or repeats


def _is_longer(before: Maintenance | None, after: Maintenance | None) -> bool:
    if after is None:
        return False
    return before is None or not before.begins <= after.begins < after.until <= before.until


def _comes_later(before: int, after: int) -> bool:
    # 0 is never.
    return bool(before) and (not after or after > before)


_ELSEWHERE = frozenset({
    # Names, and whom the rule is for: what is asked of whom is compared between rules.
    "name", "who", "report_only", "preset", "required",
    # By the proofs that are enough.
    "reset", "unlock", "reset_kinds", "unlock_kinds", "change_kinds", "weights", "reset_weight",
    "different_media", "reset_allowed", "unlock_allowed", "change_allowed",
})  # fmt: skip
_FIELDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "kinds": lambda before, after: not set(after) <= set(before),
    "register_count": lambda before, after: after < before,
    "reconfirm_days": _comes_later,
    "reconfirm_absence_days": _comes_later,
    "reconfirm_below_version": lambda before, after: after < before,
    "reconfirm_on": lambda before, after: not set(before) <= set(after),
    "postpone": _is_longer_wait,
    "on_fault": lambda _before, after: after == "release",
    "trust_delay_hours": lambda before, after: after < before,
    "people_per_address": lambda before, after: after > before,
    "notify_person": lambda _before, after: not after,
}
"""Whether the second value of a field is weaker than the first."""
