"""One rule for new passwords as data: what every dialect fills, and what every page shows."""

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
    NON_ASCII_MIN = "non_ascii_min"
    """At least `count` characters such as `é` or `ж`."""
    REPEATS_MAX = "repeats_max"
    """At most `count` times the same character in a row."""
    SEQUENCE_MAX = "sequence_max"
    """At most `count` characters of a run like `abcd` or `4321`."""
    SEQUENCE_TWICE = "sequence_twice"
    """No run longer than `count` characters whose beginning comes twice."""
    CLASS_RUN_MAX = "class_run_max"
    """At most `count` characters of the same class in a row."""
    NOT_PALINDROME = "not_palindrome"
    """Does not read the same backwards."""
    NOT_NAME = "not_name"
    """Contains neither the user name nor a part of the person's name, as the server compares them."""
    NOT_SAME_NAME = "not_same_name"
    """Is none of `words`, the account's user name or address, as a whole."""
    NOT_WORDS = "not_words"
    """Contains none of `words`."""
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
    """Which server counts: `openldap`, `active_directory`, `ds389` or `keycloak`; they tell classes apart
    differently."""
    words: tuple[str, ...] = ()
    """What the candidate may not contain, as the directory holds it: forbidden words, or this account's
    names; empty where the server does not say, or the rule is about something else."""


@dataclass(frozen=True, slots=True)
class AccountNames:
    """What is known of somebody's names; a rule that brings its own `words` is held to those instead."""

    username: str = ""
    display_name: str = ""
    others: tuple[str, ...] = ()
    """Mail addresses and further names, in any order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says of one candidate."""

    rule: PasswordRule
    holds: bool | None
    """None where only the server can tell."""
