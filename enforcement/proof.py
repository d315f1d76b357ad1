"""Which proofs are enough: how many, of what weight, by which media. Pure, and asked on every page."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

MEDIA: Mapping[str, str] = {"mobile_phone": "telephone", "office_phone": "telephone"}
"""What a kind is held in, where two kinds share it; every other kind is a medium of its own."""
NEVER_REGISTERED: frozenset[str] = frozenset({"helpdesk_code"})
"""Kinds that somebody else hands out."""
NEVER_FIRST: frozenset[str] = frozenset({"security_questions"})
"""Kinds whose question tells something of the person, so that they come after another proof (S4)."""
NOT_EVERYWHERE_FIRST: frozenset[str] = NEVER_FIRST | {"passkey"}
"""Kinds beside which another must be registered, if the rule lists one: a browser that nobody knows can ask
for no passkey in particular, and not every device finds it then (decision 23)."""


@dataclass(frozen=True, slots=True)
class ProofRule:
    """What has to be proved for one purpose."""

    kinds: tuple[str, ...]
    """Which kinds prove something, in the order in which they are offered; no kind proves twice."""
    gates: int = 1
    """How many proofs at least."""
    weight: int = 0
    """What they must weigh together; 0 asks nothing beyond their number."""
    weights: tuple[tuple[str, int], ...] = ()
    """Kinds that weigh other than 1."""
    different_media: bool = True
    """Whether each proof must come by a medium of its own."""

    def is_enough(self, proved: Collection[str]) -> bool:
        """Tell whether these kinds, each proved once, are enough; of two by one medium the heavier counts."""
        counted = self._of_each_medium(proved) if self.different_media else proved
        return len(counted) >= self.gates and self._weight(counted) >= self.weight

    def next_kinds(self, proved: Collection[str], among: Collection[str]) -> tuple[str, ...]:
        """Return what may be proved next.

        Args:
            proved: Kinds that were proved.
            among: Kinds that are there to prove.
        """
        taken = {_medium(kind) for kind in proved} if self.different_media else set()
        return tuple(
            kind
            for kind in self.kinds
            if kind in among
            and kind not in proved
            and _medium(kind) not in taken
            and (proved or kind not in NEVER_FIRST)
        )

    def fewest_more(self, proved: Collection[str], among: Collection[str]) -> int | None:
        """Return how many further proofs are needed at least; None where these kinds never are enough."""
        return _fewest_more(self, frozenset(proved), frozenset(among))

    def lacking(self, kinds: Collection[str], registrable: Collection[str]) -> int:
        """Return how many kinds must be registered besides these, until they can be enough."""
        return _lacking(self, frozenset(kinds), frozenset(registrable))

    def _of_each_medium(self, kinds: Collection[str]) -> Collection[str]:
        # The heaviest is put in last, and stays.
        return {_medium(kind): kind for kind in sorted(kinds, key=lambda kind: self._weight({kind}))}.values()

    def _weight(self, kinds: Collection[str]) -> int:
        stated = dict(self.weights)
        return sum(stated.get(kind, 1) for kind in kinds)

    def _fits(self, chosen: Collection[str]) -> bool:
        if self.different_media and len({_medium(kind) for kind in chosen}) < len(chosen):
            return False
        return self.is_enough(chosen) and not NEVER_FIRST.issuperset(chosen)


def _medium(kind: str) -> str:
    return MEDIA.get(kind, kind)


# Kinds are few and rules fewer, so that every answer is soon remembered: the gate asks at each sign-in.
@lru_cache(maxsize=4096)
def _fewest_more(rule: ProofRule, proved: frozenset[str], among: frozenset[str]) -> int | None:
    there = sorted((among & set(rule.kinds)) - proved)
    for more in range(len(there) + 1):
        if any(rule._fits({*proved, *chosen}) for chosen in combinations(there, more)):  # noqa: SLF001
            return more
    return None


@lru_cache(maxsize=4096)
def _lacking(rule: ProofRule, kinds: frozenset[str], registrable: frozenset[str]) -> int:
    open_kinds = sorted((registrable & set(rule.kinds)) - kinds)
    for more in range(len(open_kinds) + 1):
        for chosen in combinations(open_kinds, more):
            if _works_everywhere(rule, kinds | set(chosen)):
                return more
    return len(open_kinds)


def _works_everywhere(rule: ProofRule, kinds: frozenset[str]) -> bool:
    return rule.fewest_more((), kinds) is not None and not NOT_EVERYWHERE_FIRST.issuperset(kinds)
