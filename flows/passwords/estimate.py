"""How many guesses a password would take, by zxcvbn: advice while typing, a rule where an operator says so.

The library's own entry point is not called: it keeps the user's names in a dictionary that all threads
share, and a candidate that is made for it costs seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from zxcvbn import matching, scoring, time_estimates

_READ = 48
"""Characters that are read: the cost grows faster than the length, and by then the answer is known."""
_MOST_SPELLINGS = 16
"""Readings of characters that may stand for letters, as `4` for `a`; each costs a search of its own."""
_PLAIN = (
    matching.dictionary_match,
    matching.reverse_dictionary_match,
    matching.spatial_match,
    matching.sequence_match,
    matching.regex_match,
    matching.date_match,
)
_WARNINGS = {"spatial": "keys", "repeat": "repeat", "sequence": "sequence", "regex": "date", "date": "date"}
_DICTIONARIES = {"passwords": "common", "user_inputs": "name"}
_PEOPLE = {"surnames", "male_names", "female_names"}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What zxcvbn makes of a candidate."""

    score: int
    """0 (fewer than a thousand guesses) to 4 (more than ten thousand million)."""
    warning: str = ""
    """What makes it weak, where the score is below 3: `common`, `name`, `word`, `keys`, `repeat`, `sequence`,
    `date`; empty where it is only short."""


def estimate(candidate: str, names: Iterable[str]) -> Estimate:
    """Return the estimate for a candidate as typed; a few milliseconds, never much more.

    Args:
        names: What the person is called, in lower case.
    """
    if not candidate:
        return Estimate(0)
    read = candidate[:_READ]
    matches = _matches(read, matching.build_ranked_dict([name.lower() for name in names]))
    result = scoring.most_guessable_match_sequence(read, matches)
    score = int(time_estimates.guesses_to_score(result["guesses"]))
    return Estimate(score, "" if score > 2 else _warning(result["sequence"]))


def _matches(text: str, names: Mapping[str, int]) -> list[dict[str, Any]]:
    dictionaries = {**matching.RANKED_DICTIONARIES, "user_inputs": names}
    matchers = [*_PLAIN]
    if _spellings(text) <= _MOST_SPELLINGS:
        # Looking for repetitions reads what repeats in every spelling, too.
        matchers += [matching.l33t_match, matching.repeat_match]
    found = [each for matcher in matchers for each in matcher(text, _ranked_dictionaries=dictionaries)]
    return sorted(found, key=lambda match: (match["i"], match["j"]))


def _spellings(text: str) -> int:
    substituted = matching.relevant_l33t_subtable(text, matching.L33T_TABLE)
    return prod(len(letters) for letters in substituted.values())


def _warning(sequence: list[dict[str, Any]]) -> str:
    longest = max(sequence, key=lambda match: len(match["token"]), default={"pattern": ""})
    if longest["pattern"] != "dictionary":
        return _WARNINGS.get(longest["pattern"], "")
    name = longest["dictionary_name"]
    return "name" if name in _PEOPLE else _DICTIONARIES.get(name, "word")
