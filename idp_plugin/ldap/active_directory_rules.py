"""How Active Directory counts: length in UTF-16 units, and characters of three classes out of five.

Source: [MS-SAMR] section 3.1.1.7; "Password must meet complexity requirements" of the security policy
reference; Samba's `check_password_quality`, asked on a live server.
"""

import re
import string
import unicodedata
from collections.abc import Callable

from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName

CLASSES = 3
"""Of five that a password needs where complexity is asked."""
SHORTEST_NAME = 3
"""Shorter names and parts of names are not looked for."""

_SPECIALS = frozenset("~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/")
_SEPARATORS = re.compile(r"[,.\-_ #\t]+")
_CASED = {"Lu": "upper", "Ll": "lower", "Lt": "upper"}


def holds(rule: PasswordRule, candidate: str, names: AccountNames) -> bool | None:
    """Tell whether the directory finds that the candidate obeys the rule; None where only it can tell."""
    match rule.name:
        case RuleName.LENGTH_MIN:
            return length(candidate) >= rule.count
        case RuleName.CLASSES_MIN:
            return _has_classes(candidate, rule.count)
        case RuleName.NOT_NAME:
            whole = rule.words or names_in(names.username, names.display_name)
            return not any(name.lower() in candidate.lower() for name in whole)
        case _:
            return None


def length(candidate: str) -> int:
    """Return the length as the directory counts: characters beyond the basic plane are two."""
    return len(candidate.encode("utf-16-le", "replace")) // 2


def names_in(username: str, display_name: str) -> tuple[str, ...]:
    """Return what a complex password may not contain: the user name whole, the display name in parts."""
    parts = (username, *_SEPARATORS.split(display_name))
    return tuple(dict.fromkeys(part for part in parts if len(part) >= SHORTEST_NAME))


def _has_classes(candidate: str, wanted: int) -> bool | None:
    """Count as Windows does and as Samba does; None where they differ, for which it is cannot be seen."""
    windows = {_class(character, _windows_class) for character in candidate} - {""}
    samba = {_class(character, _samba_class) for character in candidate} - {""}
    verdicts = {len(windows) >= wanted, len(samba) >= wanted}
    return verdicts.pop() if len(verdicts) == 1 else None


def _class(character: str, beyond: Callable[[str], str]) -> str:
    """Return a character's class, empty for those that are not counted."""
    if not character.isascii():
        return beyond(character)
    if character in string.digits:
        return "digit"
    if character in string.ascii_letters:
        return "upper" if character.isupper() else "lower"
    return "special" if character in _SPECIALS else ""


def _windows_class(character: str) -> str:
    """Letters without case are the fifth class; symbols are of none."""
    category = unicodedata.category(character)
    return _CASED.get(category) or ("other" if category in {"Lo", "Lm"} else "")


def _samba_class(character: str) -> str:
    """Only letters with a partner of the other case have one; all the rest, emoji too, is the fifth class."""
    upper, lower = character.upper(), character.lower()
    if character == upper != lower and lower.upper() == character:
        return "upper"
    return "lower" if character == lower != upper and upper.lower() == character else "other"
