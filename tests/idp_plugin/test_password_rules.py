"""Rules as data, applied without a server; that the servers count so is in `ldap/test_agreement.py`."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin.password_rules import AccountNames, PasswordRule, RuleName, check

ALICE = AccountNames("alice", "Alice Łukasz", ("alice@example.org",))
DIALECTS = ("openldap", "ds389", "active_directory", "keycloak")
UNTOLD = (RuleName.NOT_IN_HISTORY, RuleName.QUALITY)


def holds(dialect: str, name: RuleName, count: int, candidate: str, *words: str) -> bool | None:
    (verdict,) = check((PasswordRule(name, count, dialect, words),), candidate, ALICE)
    return verdict.holds


@pytest.mark.parametrize(
    ("dialect", "candidate", "units"),
    [
        ("openldap", "é", 2),
        ("openldap", "😀", 4),
        ("ds389", "é", 1),
        ("ds389", "😀", 1),
        ("ds389", "e\u0301", 2),
        ("active_directory", "😀", 2),
        ("keycloak", "é", 1),
        ("keycloak", "😀", 2),
    ],
)
def test_every_server_counts_lengths_in_its_own_units(dialect: str, candidate: str, units: int) -> None:
    assert holds(dialect, RuleName.LENGTH_MIN, units, candidate) is True
    assert holds(dialect, RuleName.LENGTH_MIN, units + 1, candidate) is False


@pytest.mark.parametrize(
    ("name", "count", "candidate", "obeys"),
    [
        (RuleName.CLASSES_MIN, 3, "abcABC123", True),
        (RuleName.CLASSES_MIN, 3, "abcABC", False),
        (RuleName.CLASSES_MIN, 2, "abcжшю", True),
        (RuleName.CLASSES_MIN, 5, "aA1!é", True),
        (RuleName.UPPER_MIN, 1, "ÉÄЖ", False),
        (RuleName.LETTERS_MIN, 2, "é1aB", True),
        (RuleName.NON_ASCII_MIN, 2, "日a本", True),
        (RuleName.DIGITS_MIN, 1, "٣٤", False),
        (RuleName.REPEATS_MAX, 2, "aabb", True),
        (RuleName.REPEATS_MAX, 2, "xaaay", False),
        (RuleName.REPEATS_MAX, 2, "éééx", False),
        (RuleName.REPEATS_MAX, 1, "", True),
        (RuleName.SEQUENCE_MAX, 3, "xabcx", True),
        (RuleName.SEQUENCE_MAX, 3, "xabcdx", False),
        (RuleName.SEQUENCE_MAX, 3, "x4321x", False),
        (RuleName.SEQUENCE_MAX, 3, "xabcba", True),
        (RuleName.SEQUENCE_TWICE, 2, "abcxabc", False),
        (RuleName.SEQUENCE_TWICE, 2, "abcx#xyz", True),
        (RuleName.CLASS_RUN_MAX, 3, "abcABC123", True),
        (RuleName.CLASS_RUN_MAX, 3, "abcd", False),
        (RuleName.CLASS_RUN_MAX, 3, "éé", False),
        (RuleName.NOT_PALINDROME, 0, "abccba", False),
        (RuleName.NOT_PALINDROME, 0, "éabaé", True),
        (RuleName.NOT_NAME, 3, "xxLICxx", False),
        (RuleName.NOT_NAME, 5, "xxLICxx", True),
        (RuleName.NOT_NAME, 3, "łuk12345", True),
        (RuleName.NOT_NAME, 3, "Łuk12345", False),
        (RuleName.CHARACTERS, 0, "{ssha}abc", False),
        (RuleName.CHARACTERS, 0, "{nothing}abc", True),
        (RuleName.CHARACTERS, 0, "{ssha", True),
    ],
)
def test_389_ds_counts_so(name: RuleName, count: int, candidate: str, obeys: bool) -> None:
    assert holds("ds389", name, count, candidate) is obeys


def test_a_rule_that_brings_words_is_held_to_those() -> None:
    assert holds("ds389", RuleName.NOT_WORDS, 0, "my-FootBall-1", "football") is False
    assert holds("ds389", RuleName.NOT_WORDS, 0, "my-foot-ball-1", "football") is True
    assert holds("ds389", RuleName.NOT_NAME, 3, "xxalicexx", "somebody else") is True


@pytest.mark.parametrize(
    ("candidate", "obeys"),
    [
        ("{SSHA}abc", False),
        ("{smd5}abc", False),
        ("{ARGON2}abc", None),
        ("{SHA512}abc", None),
        ("{FOO}abc", True),
        ("{", True),
        ("a{SSHA}", True),
        ("nul\0inside", False),
    ],
)
def test_openldap_judges_no_password_that_is_hashed_already(candidate: str, obeys: bool | None) -> None:
    assert holds("openldap", RuleName.CHARACTERS, 0, candidate) is obeys


@pytest.mark.parametrize("dialect", [*DIALECTS, "", "something else"])
@pytest.mark.parametrize("name", UNTOLD)
def test_what_only_the_server_can_tell_is_never_told(dialect: str, name: RuleName) -> None:
    assert holds(dialect, name, 3, "whatever it is") is None


def test_a_dialect_that_is_not_known_tells_nothing() -> None:
    assert {holds("novell", name, 3, "abc") for name in RuleName} == {None}


def test_verdicts_come_in_the_order_of_the_rules() -> None:
    rules = [PasswordRule(name, 1, "ds389") for name in RuleName]
    assert [verdict.rule for verdict in check(rules, "abc", ALICE)] == rules


@given(
    candidate=st.text(max_size=40),
    dialect=st.sampled_from(DIALECTS),
    name=st.sampled_from(list(RuleName)),
    count=st.integers(0, 12),
    names=st.builds(AccountNames, st.text(max_size=9), st.text(max_size=9)),
)
def test_no_text_breaks_a_rule(
    candidate: str, dialect: str, name: RuleName, count: int, names: AccountNames
) -> None:
    rule = PasswordRule(name, count, dialect)
    (verdict,) = check((rule,), candidate, names)
    assert verdict.rule == rule
    assert verdict.holds in {True, False, None}
    assert check((rule,), candidate, names) == (verdict,)


@given(
    candidate=st.text(string.printable + "éжß日😀", max_size=30),
    dialect=st.sampled_from(DIALECTS),
    bound=st.integers(1, 20),
)
def test_a_longer_password_is_never_too_short(candidate: str, dialect: str, bound: int) -> None:
    if holds(dialect, RuleName.LENGTH_MIN, bound, candidate):
        assert holds(dialect, RuleName.LENGTH_MIN, bound, f"{candidate}x")
        assert holds(dialect, RuleName.LENGTH_MIN, bound - 1, candidate)


@pytest.mark.parametrize(
    ("name", "count", "candidate", "obeys"),
    [
        (RuleName.DIGITS_MIN, 2, "a1\u0661", True),
        (RuleName.DIGITS_MIN, 2, "a1²", False),
        (RuleName.SPECIALS_MIN, 2, "a😀", True),
        (RuleName.SPECIALS_MIN, 2, "aé!", False),
        (RuleName.UPPER_MIN, 1, "ǅ", False),
        (RuleName.LOWER_MIN, 1, "ª", True),
    ],
)
def test_keycloak_counts_as_java_does(name: RuleName, count: int, candidate: str, obeys: bool) -> None:
    assert holds("keycloak", name, count, candidate) is obeys


def test_keycloak_compares_names_whole_or_within_as_the_rule_says() -> None:
    whole, within = RuleName.NOT_SAME_NAME, RuleName.NOT_NAME
    assert holds("keycloak", whole, 0, "ALICE", "alice") is False
    assert holds("keycloak", whole, 0, "alice1", "alice") is True
    assert holds("keycloak", within, 0, "xALICEx", "alice") is False
