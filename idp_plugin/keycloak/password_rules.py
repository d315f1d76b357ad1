"""How Keycloak counts: Java's characters, so whatever is beyond the basic plane is two, and both special.

Source: Keycloak 26.4, `org.keycloak.policy.*PasswordPolicyProvider`; asked on a live server.
"""

import unicodedata
from collections.abc import Callable, Mapping

from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName


def holds(rule: PasswordRule, candidate: str, names: AccountNames) -> bool | None:
    """Tell whether Keycloak finds that the candidate obeys the rule; None where only it can tell."""
    match rule.name:
        case RuleName.LENGTH_MIN:
            return _length(candidate) >= rule.count
        case RuleName.LENGTH_MAX:
            return _length(candidate) <= rule.count
        case RuleName.NOT_SAME_NAME:
            return candidate.lower() not in {word.lower() for word in rule.words}
        case RuleName.NOT_NAME:
            return not any(word.lower() in candidate.lower() for word in rule.words or (names.username,))
        case _:
            counted = _COUNTED.get(rule.name)
            return sum(map(counted, candidate)) >= rule.count if counted else None


def _length(candidate: str) -> int:
    return len(candidate.encode("utf-16-le", "surrogatepass")) // 2


def _specials(character: str) -> int:
    if ord(character) > 0xFFFF:
        return 2
    return int(not character.isdecimal() and not unicodedata.category(character).startswith("L"))


def _in_plane(test: Callable[[str], bool]) -> Callable[[str], int]:
    return lambda character: int(ord(character) <= 0xFFFF and test(character))


_COUNTED: Mapping[RuleName, Callable[[str], int]] = {
    RuleName.DIGITS_MIN: _in_plane(str.isdecimal),
    RuleName.LOWER_MIN: _in_plane(str.islower),
    RuleName.UPPER_MIN: _in_plane(str.isupper),
    RuleName.SPECIALS_MIN: _specials,
}
"""How much one character adds."""
