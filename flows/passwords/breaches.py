"""Whether a password leaked somewhere: what every source of the answer offers.

Security: asked once, when a password is submitted, and never while it is typed (S25): each question to a
range service gives away a little of what it is about.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Protocol

PREFIX = 5
"""Hexadecimal digits of a digest that a range has in common; the service learns no more."""
_LINE = re.compile(r"([0-9A-F]{35}):([0-9]{1,10})")


class Breaches(Protocol):
    """A source. Blocking."""

    def have(self, candidate: str) -> bool:
        """Tell whether a password, as typed, is known to have leaked.

        Raises:
            BreachesUnavailable: It cannot be told now.
        """

    def close(self) -> None:
        """Let go of connections and files."""


class BreachesUnavailable(Exception):
    """A source did not answer, or answered nonsense; `why` is a word for logs and audit."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def digest_of(candidate: str) -> str:
    """Return the SHA-1 digest in 40 capital hexadecimal digits, as breach lists are keyed."""
    return hashlib.sha1(candidate.encode("utf-8", "replace"), usedforsecurity=False).hexdigest().upper()


def is_in_range(lines: Iterable[str], suffix: str, *, at_least: int) -> bool:
    """Tell whether a range holds the rest of a digest often enough.

    Args:
        lines: `<35 digits>:<how often>`; often 0 is padding.
        suffix: What follows the five digits of the range.
        at_least: How many times it must have been seen.

    Raises:
        BreachesUnavailable: No line is one of a range; every real range has hundreds.
    """
    found = [match for line in lines if (match := _LINE.fullmatch(line.strip().upper()))]
    if not found:
        raise BreachesUnavailable("nonsense")
    return any(match[1] == suffix and int(match[2]) >= max(1, at_least) for match in found)
