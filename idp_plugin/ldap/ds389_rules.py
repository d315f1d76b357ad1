"""How 389 Directory Server counts: characters for lengths and classes, bytes for sequences.

Letters, digits and case are those of ASCII; everything beyond is a class of its own ("8-bit").

Source: 389-ds-base 2.3, password syntax checks; asked on a live server.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, pairwise

from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName

DEFAULT_TOKEN = 3
"""Characters of somebody's name in a row that a password may not contain, where the policy does not say."""

_LONGEST_SET = 10
"""Bytes of a run that are remembered to find it a second time."""


def holds(rule: PasswordRule, candidate: str, names: AccountNames) -> bool | None:
    """Tell whether 389-ds finds that the candidate obeys the rule; None where only it can tell."""
    match rule.name:
        case RuleName.NOT_NAME:
            return not _has_part_of(candidate, rule.words or _all(names), rule.count or DEFAULT_TOKEN)
        case RuleName.NOT_WORDS:
            return not any(_fold(word) in _fold(candidate) for word in rule.words)
        case _:
            told = _BY_COUNT.get(rule.name)
            return told(candidate, rule.count) if told else None


def _all(names: AccountNames) -> tuple[str, ...]:
    return (names.username, names.display_name, *names.others)


def _has_part_of(candidate: str, values: tuple[str, ...], size: int) -> bool:
    """Tell whether `size` characters in a row of any value are in the candidate, in whatever case."""
    folded = _fold(candidate)
    return any(
        _fold(value[start : start + size]) in folded
        for value in values
        for start in range(len(value) - size + 1)
    )


def _fold(text: str) -> str:
    """Lower the letters of ASCII alone: the server compares no others without regard to case."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def _class(character: str) -> str:
    if not character.isascii():
        return "eight_bit"
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "lower" if character.islower() else "upper"
    return "special"


def _number(candidate: str, *classes: str) -> int:
    return sum(_class(character) in classes for character in candidate)


def _longest_repeat(candidate: str) -> int:
    return max((len(list(same)) for _, same in groupby(candidate)), default=0)


def _runs(candidate: str) -> Iterator[tuple[int, int]]:
    """Yield (position, length so far) wherever a run of neighbouring bytes goes on, up or down."""
    up = down = 1
    for position, (before, after) in enumerate(pairwise(candidate.encode("utf-8", "replace")), 1):
        up = up + 1 if after == before + 1 else 1
        down = down + 1 if after == before - 1 else 1
        yield position, max(up, down)


def _has_run_twice(candidate: str, longest: int) -> bool:
    data = candidate.encode("utf-8", "replace")
    size = min(longest, _LONGEST_SET)
    return any(
        data[position - longest : position - longest + size] in data[position:]
        for position, length in _runs(candidate)
        if length > longest
    )


def _longest_class_run(candidate: str) -> int:
    # Bytes here: every byte of a character beyond ASCII counts, and specials are of the same class.
    kinds = (
        _class(chr(byte)) if byte < 128 and chr(byte).isalnum() else "other"
        for byte in candidate.encode("utf-8", "replace")
    )
    return max((len(list(same)) for _, same in groupby(kinds)), default=0)


def _is_palindrome(candidate: str) -> bool:
    data = candidate.encode("utf-8", "replace")
    return data == data[::-1]


_BY_COUNT: Mapping[RuleName, Callable[[str, int], bool]] = {
    RuleName.LENGTH_MIN: lambda text, count: len(text) >= count,
    RuleName.CLASSES_MIN: lambda text, count: len({_class(character) for character in text}) >= count,
    RuleName.DIGITS_MIN: lambda text, count: _number(text, "digit") >= count,
    RuleName.LOWER_MIN: lambda text, count: _number(text, "lower") >= count,
    RuleName.UPPER_MIN: lambda text, count: _number(text, "upper") >= count,
    RuleName.LETTERS_MIN: lambda text, count: _number(text, "lower", "upper") >= count,
    RuleName.SPECIALS_MIN: lambda text, count: _number(text, "special") >= count,
    RuleName.NON_ASCII_MIN: lambda text, count: _number(text, "eight_bit") >= count,
    RuleName.REPEATS_MAX: lambda text, count: _longest_repeat(text) <= count,
    RuleName.SEQUENCE_MAX: lambda text, count: max((n for _, n in _runs(text)), default=1) <= count,
    RuleName.SEQUENCE_TWICE: lambda text, count: not _has_run_twice(text, count),
    RuleName.CLASS_RUN_MAX: lambda text, count: _longest_class_run(text) <= count,
    RuleName.NOT_PALINDROME: lambda text, _count: not _is_palindrome(text),
    RuleName.CHARACTERS: lambda text, _count: not (text.startswith("{") and _names_a_scheme(text)),
}


def _names_a_scheme(text: str) -> bool:
    """Tell whether the server takes it for a password that is hashed already."""
    return text[1:].partition("}")[0].upper() in _SCHEMES and "}" in text


_SCHEMES = frozenset(
    {
        *("AES", "CLEAR", "DES", "GOST_YESCRYPT", "MD5", "NS-MTA-MD5", "SMD5"),
        *("CRYPT", "CRYPT-MD5", "CRYPT-SHA256", "CRYPT-SHA512"),
        *("PBKDF2", "PBKDF2-SHA1", "PBKDF2-SHA256", "PBKDF2-SHA512", "PBKDF2_SHA256"),
        *("SHA", "SHA256", "SHA384", "SHA512", "SSHA", "SSHA256", "SSHA384", "SSHA512"),
    }
)
"""The storage plug-ins that 389-ds has switched on when it is installed."""
