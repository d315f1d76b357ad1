"""A list of banned terms and the score that a password needs beside them.

Worked like the product whose users this replaces, so that lists can be carried over: a password may contain
a banned term if enough else is in it. What is our own: Unicode is normalised first, characters that cannot
be seen are dropped, and of several readings of a password the one with the fewest points counts.

Source: Microsoft Entra password protection, "How are passwords evaluated": lower case and four substituted
characters, edit distance one of the whole, a point for each term and for each further character, five needed.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST_TERM = 4
LONGEST_TERM = 16
MOST_TERMS = 1000
NEEDED = 5
_ALIKE = str.maketrans({"0": "o", "1": "l", "$": "s", "@": "a"})


@dataclass(frozen=True, slots=True)
class Score:
    """How many points a password has, and from what."""

    points: int
    """One for each term and each other character."""
    needed: int
    terms: tuple[str, ...] = ()
    """The banned terms that were found, as the list writes them, in the order of the password."""
    others: int = 0
    """How many characters belong to no term."""
    close_to: str = ""
    """The term that the whole password is, but for one character at most; it is then worth one point."""

    @property
    def suffices(self) -> bool:
        """Whether there are as many points as needed."""
        return self.points >= self.needed


class BannedList:
    """Up to a thousand terms of the organisation's, and those that everybody tries first."""

    def __init__(self, terms: Iterable[str], *, needed: int = NEEDED) -> None:
        """Take the terms as people write them; see `is_term` for which can be found at all."""
        self._terms = {normalise(term): term for term in terms if is_term(term)}
        self._needed = needed
        self._lengths = sorted({len(term) for term in self._terms}, reverse=True)
        self._by_length = {
            length: [term for term in self._terms if len(term) == length] for length in self._lengths
        }

    def score(self, candidate: str) -> Score:
        """Return the score of a candidate, as typed."""
        normal = normalise(candidate)
        close = next((term for term in self._of_like_length(normal) if is_within_one_edit(term, normal)), "")
        if close:
            return Score(1, self._needed, (self._terms[close],), close_to=self._terms[close])
        parts = self._fewest_parts(normal)
        terms = tuple(self._terms[part] for part in parts if part in self._terms)
        return Score(len(parts), self._needed, terms, len(parts) - len(terms))

    def _of_like_length(self, normal: str) -> Iterable[str]:
        for length in (len(normal), len(normal) - 1, len(normal) + 1):
            yield from self._by_length.get(length, ())

    def _fewest_parts(self, normal: str) -> list[str]:
        """Cut a text into terms and single characters, into as few parts as possible."""
        fewest = [0] * (len(normal) + 1)
        length_at = [1] * len(normal)
        for start in range(len(normal) - 1, -1, -1):
            lengths = [*self._fitting(normal, start), 1]
            length_at[start] = min(lengths, key=lambda length: fewest[start + length])
            fewest[start] = 1 + fewest[start + length_at[start]]
        return _cut(normal, length_at)

    def _fitting(self, normal: str, start: int) -> Iterable[int]:
        room = len(normal) - start
        return (
            each for each in self._lengths if each <= room and normal[start : start + each] in self._terms
        )


def normalise(text: str) -> str:
    """Return a text as the list compares it: compatibility forms, lower case, no characters unseen."""
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return folded.translate(_ALIKE)


def is_term(text: str) -> bool:
    """Tell whether a term has a length that a list may hold: 4 to 16 characters once normalised."""
    return SHORTEST_TERM <= len(normalise(text)) <= LONGEST_TERM


def is_within_one_edit(one: str, other: str) -> bool:
    """Tell whether at most one character is changed, added or taken away between two texts."""
    if abs(len(one) - len(other)) > 1:
        return False
    shorter, longer = sorted((one, other), key=len)
    differing = (place for place, letter in enumerate(shorter) if letter != longer[place])
    shared = next(differing, len(shorter))
    rest = shorter[shared + 1 :] if len(shorter) == len(longer) else shorter[shared:]
    return rest == longer[shared + 1 :]


def _cut(text: str, length_at: list[int]) -> list[str]:
    parts, start = [], 0
    while start < len(text):
        parts.append(text[start : start + length_at[start]])
        start += length_at[start]
    return parts
