import math
import re
from collections import Counter

import pytest

from flows.passwords import suggestion
from flows.passwords.finding import broken
from flows.passwords.rules import PasswordRules
from flows.passwords.settings import PasswordsSettings
from flows.passwords.suggestion import suggest
from idp_plugin.base import WriterCapabilities
from idp_plugin.password_rules import AccountNames, PasswordRule, RuleName

NOBODY = AccountNames()


def test_a_suggestion_can_be_said_and_says_how_much_chance_is_in_it() -> None:
    made = suggest(lambda _password: True)
    assert made
    assert re.fullmatch(r"([bdfgklmnprstvz][aeiou]){3}(-([bdfgklmnprstvz][aeiou]){3}){2}", made.password)
    assert made.bits == 54 <= math.log2(70**9)


def test_so_few_words_are_thrown_away_that_the_stated_chance_is_true() -> None:
    thrown = 0
    letters = [c + v for c in suggestion._CONSONANTS for v in suggestion._VOWELS]
    words = (a + b + c for a in letters for b in letters for c in letters)
    for word in words:
        thrown += any(part in word for part in suggestion._UNFORTUNATE)
    kept = len(letters) ** 3 - thrown
    assert 3 * math.log2(kept) > 54


def test_every_syllable_comes_as_often_as_any_other() -> None:
    made = [suggest(lambda _password: True) for _suggestion in range(700)]
    found = Counter(re.findall("..", "".join(each.password.replace("-", "") for each in made if each)))
    assert len(found) == 70
    assert max(found.values()) < 2.2 * 9 * 700 / 70


def test_no_two_are_the_same_and_none_is_in_its_own_representation() -> None:
    made = [suggest(lambda _password: True) for _suggestion in range(200)]
    assert len({each.password for each in made if each}) == 200
    assert made[0]
    assert made[0].password not in repr(made[0])


@pytest.mark.parametrize(
    "settings",
    [
        PasswordsSettings(),
        PasswordsSettings(classes=3),
        PasswordsSettings(classes=4, shortest=24, estimate=4),
        PasswordsSettings(estimate=4),
    ],
)
def test_every_rule_of_ours_accepts_it(settings: PasswordsSettings) -> None:
    rules = PasswordRules(settings)

    def accepts(password: str) -> bool:
        return not broken(rules.findings(password, names=NOBODY, capabilities=WriterCapabilities()))

    made = suggest(accepts)
    assert made
    assert accepts(made.password)


@pytest.mark.parametrize(
    "rules",
    [
        (PasswordRule(RuleName.LENGTH_MAX, 16, "openldap"),),
        (PasswordRule(RuleName.LENGTH_MIN, 22, "openldap"),),
        (
            PasswordRule(RuleName.DIGITS_MIN, 2, "ds389"),
            PasswordRule(RuleName.UPPER_MIN, 2, "ds389"),
            PasswordRule(RuleName.SPECIALS_MIN, 2, "ds389"),
        ),
    ],
)
def test_the_directorys_rules_accept_it_too(rules: tuple[PasswordRule, ...]) -> None:
    ours, can = PasswordRules(PasswordsSettings()), WriterCapabilities(rules=rules)
    made = suggest(lambda password: not broken(ours.findings(password, names=NOBODY, capabilities=can)))
    assert made
    assert made.bits >= 40


def test_where_no_form_fits_there_is_none() -> None:
    assert suggest(lambda _password: False) is None
