"""The rules of Active Directory, predicted and asked: a live domain agrees with what we say before."""

import itertools

import pytest

from idp_plugin.errors import PasswordRefused, RefusalReason
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.active_directory_policy import AccountPolicy, reasons
from idp_plugin.ldap.active_directory_rules import holds, length, names_in
from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName
from idp_plugin.password_rules import check
from tests.servers.samba import DOMAIN, SambaDomain

ISSUER = "https://sso.example.org"
COMPLEX = PasswordRule(RuleName.CLASSES_MIN, 3, "active_directory")
NOBODY = AccountNames()

PARTS = ("abcd", "EFGH", "1234", "+-/.", "жука", "ЖУКА", "日本語字", "é", "   ", "🙂🙂", "٣٤")
CORPUS = (
    *("".join(chosen) for count in (1, 2) for chosen in itertools.combinations(PARTS, count)),
    *("".join(chosen) for chosen in itertools.combinations(PARTS[3:8], 3)),
    *("Ab1", "Abcdef1", "Abcdefg1", "🙂🙂🙂Aa", "🙂🙂🙂A1", "ABC ABC 123 abc", "ǅabc1234"),
)


def test_a_live_domain_agrees_with_every_prediction(samba_domain: SambaDomain) -> None:
    samba_domain.server.change(DOMAIN, {"pwdProperties": "1", "pwdHistoryLength": "0"})
    directory = ActiveDirectory(samba_domain.settings(), ISSUER)
    alice = directory.find("alice")
    assert alice
    rules = directory.capabilities(alice.account).rules
    assert {rule.name for rule in rules} == {RuleName.LENGTH_MIN, RuleName.CLASSES_MIN}
    told, wrong = 0, []
    for candidate in CORPUS:
        verdicts = {verdict.holds for verdict in check(rules, candidate, NOBODY)}
        predicted = False if False in verdicts else None if None in verdicts else True
        try:
            directory.set_password(alice.account, candidate)
        except PasswordRefused:
            taken = False
        else:
            taken = True
        told += predicted is not None
        if predicted not in {None, taken}:
            wrong.append((candidate, predicted))
    assert wrong == []
    # What may only be told afterwards are symbols, which Windows and Samba class differently.
    assert told >= 0.7 * len(CORPUS)


@pytest.mark.parametrize(
    ("candidate", "obeys"),
    [
        ("abcDEF12", True),
        ("abcdef12", False),
        ("abcdef1+", True),
        ("abcdef1 ", False),
        ("éàüÉÀÜ12", True),
        ("abc日本12", True),
        ("abcABC€€", None),
        ("abcabc€€", False),
        ("", False),
    ],
)
def test_three_classes_of_five(candidate: str, obeys: bool | None) -> None:
    assert holds(COMPLEX, candidate, NOBODY) is obeys


@pytest.mark.parametrize(
    ("candidate", "units"), [("", 0), ("abc", 3), ("日本", 2), ("🙂", 2), ("e\u0301", 2)]
)
def test_length_counts_as_the_directory_counts(candidate: str, units: int) -> None:
    assert length(candidate) == units


@pytest.mark.parametrize(
    ("username", "display_name", "names"),
    [
        ("jdoe", "Jane Doe", ("jdoe", "Jane", "Doe")),
        ("jo", "Al Doe-Smith", ("Doe", "Smith")),
        ("j.doe", "Doe, Jane_M #1\tHead", ("j.doe", "Doe", "Jane", "Head")),
        ("", "", ()),
    ],
)
def test_the_user_name_counts_whole_and_the_display_name_in_parts(
    username: str, display_name: str, names: tuple[str, ...]
) -> None:
    assert names_in(username, display_name) == names


@pytest.mark.parametrize(
    ("candidate", "obeys"),
    [("my-JANE-99", False), ("Smithson-1", False), ("J.Smith-99", False), ("Jan-Smi-99", True)],
)
def test_no_name_may_be_in_a_complex_password(candidate: str, obeys: bool) -> None:
    (rule,) = (
        rule
        for rule in AccountPolicy(is_complex=True).rules(names_in("jasmith", "Jane Smith"))
        if rule.name is RuleName.NOT_NAME
    )
    assert holds(rule, candidate, NOBODY) is obeys
    unread = PasswordRule(RuleName.NOT_NAME, 0, "active_directory")
    assert holds(unread, candidate, AccountNames("jasmith", "Jane Smith")) is obeys


@pytest.mark.parametrize(
    ("candidate", "is_history_asked", "expected"),
    [
        ("Short1", True, (RefusalReason.TOO_SHORT,)),
        ("short", True, (RefusalReason.TOO_SHORT, RefusalReason.TOO_SIMPLE)),
        ("Long-Enough-1", True, (RefusalReason.IN_HISTORY,)),
        # A filter of the server's own: nothing is claimed.
        ("Long-Enough-1", False, (RefusalReason.OTHER,)),
        ("Contains-Jane-1", True, (RefusalReason.TOO_SIMPLE,)),
        ("abcABC€€€€", True, (RefusalReason.TOO_SIMPLE,)),
    ],
)
def test_why_a_password_was_refused_is_read_from_the_rules(
    candidate: str, is_history_asked: bool, expected: tuple[RefusalReason, ...]
) -> None:
    rules = AccountPolicy(minimum_length=8, history=3, is_complex=True).rules(("Jane",))
    assert reasons(rules, candidate, checks_history=is_history_asked) == expected
