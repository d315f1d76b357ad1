"""A password that can be said aloud, made up by chance: for whoever cannot think of one."""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_UNFORTUNATE = ("fag", "fuk", "kak", "kut", "nazi", "neg", "nig", "ped", "pipi", "popo", "put", "rap", "tit")
"""Beginnings of words that nobody wants in a password."""
_TRIES = 8
_LEAST_BITS = 40


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A password that every rule accepts."""

    password: str
    bits: int
    """Of chance, rounded down: it is one of 2^bits, all equally likely."""

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"Suggestion(bits={self.bits})"


@dataclass(frozen=True, slots=True)
class _Form:
    """How a suggestion is built; later ones satisfy more rules and are harder to say."""

    syllables: tuple[int, ...]
    """Of each word."""
    is_capital: bool = False
    digits: int = 0
    joint: str = "-"

    @property
    def bits(self) -> int:
        """How much chance is in it, without the few that are thrown away."""
        syllable = len(_CONSONANTS) * len(_VOWELS)
        chance = sum(self.syllables) * math.log2(syllable) + self.digits * math.log2(10)
        return math.floor(chance - 0.5)


_FORMS = (
    _Form((3, 3, 3)),
    _Form((3, 3, 3), is_capital=True, digits=2),
    _Form((3, 3, 3, 3), is_capital=True, digits=4),
    _Form((3, 3), is_capital=True, digits=3),
    _Form((3, 3, 3), is_capital=True, digits=2, joint=""),
    _Form((3, 4)),
)


def suggest(accepts: Callable[[str], bool]) -> Suggestion | None:
    """Return the simplest suggestion that the rules accept, or None where they accept none of ours.

    Args:
        accepts: Tells whether every rule holds for a password.
    """
    for form in _FORMS:
        if form.bits < _LEAST_BITS:
            continue
        for _try in range(_TRIES):
            password = _made(form)
            if accepts(password):
                return Suggestion(password, form.bits)
    return None


def _made(form: _Form) -> str:
    words = [_word(syllables) for syllables in form.syllables]
    if form.is_capital:
        words = [word.capitalize() for word in words]
    digits = "".join(secrets.choice("0123456789") for _digit in range(form.digits))
    return form.joint.join([*words, digits] if digits else words)


def _word(syllables: int) -> str:
    while True:
        word = "".join(
            secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _syllable in range(syllables)
        )
        if not any(part in word for part in _UNFORTUNATE):
            return word
