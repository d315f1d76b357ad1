"""A directory's rules for new passwords: read as data, applied as a pure function.

Adapters read them from the server; whoever shows or checks a candidate applies them without asking it.
What a server decides in ways that cannot be read (history, quality modules) is a rule that cannot be told.
"""

import enum
from dataclasses import dataclass


class RuleName(enum.StrEnum):
    """What a rule is about; every one has a sentence on the pages."""

    LENGTH_MIN = "length_min"
    """At least `count` characters, or bytes where the server counts those."""
    LENGTH_MAX = "length_max"
    CLASSES_MIN = "classes_min"
    """Characters of at least `count` of the classes that the server tells apart."""
    DIGITS_MIN = "digits_min"
    LOWER_MIN = "lower_min"
    UPPER_MIN = "upper_min"
    LETTERS_MIN = "letters_min"
    SPECIALS_MIN = "specials_min"
    REPEATS_MAX = "repeats_max"
    """At most `count` times the same character in a row."""
    SEQUENCE_MAX = "sequence_max"
    """At most `count` characters of a run like `abcd` or `4321`."""
    NOT_NAME = "not_name"
    """Contains neither the user name nor a part of the person's name, as the server compares them."""
    CHARACTERS = "characters"
    """Only characters that the server takes."""
    NOT_IN_HISTORY = "in_history"
    """None of the last `count` passwords; never told before the server is asked."""
    QUALITY = "quality"
    """A module of the server judges; never told before the server is asked."""


@dataclass(frozen=True, slots=True)
class PasswordRule:
    """One rule with its bound."""

    name: RuleName
    count: int = 0
    """The bound where the rule has one; 0 where it has none, or the server does not say."""
    dialect: str = ""
    """Which server counts: `openldap`, `active_directory` or `ds389`; they tell classes apart differently."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says of one candidate."""

    rule: PasswordRule
    holds: bool | None
    """None where only the server can tell."""
