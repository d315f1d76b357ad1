import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin.ldap.names import alike, comparable, equals, is_askable, leaf, moment


@given(st.text())
def test_a_filter_has_no_meaning_of_its_own_inside_a_value(value: str) -> None:
    inside = equals("uid", value)[len("(uid=") : -1]
    assert not set(inside) & set("*()\0")


@pytest.mark.parametrize("value", ["", " ", "a\0", "a\n", "a\u202e", "\ufeffa", "\ud800", "a" * 257, "\x7f"])
def test_what_cannot_be_a_name_is_not_asked(value: str) -> None:
    assert not is_askable(value)


@pytest.mark.parametrize("value", ["alice", "Ålice", "o'neil", "田中", "alice@example.org", "a" * 256, "(*)"])
def test_what_could_be_a_name_is_asked(value: str) -> None:
    assert is_askable(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Staff, OU=Groups,DC=example,DC=org", "cn=staff,ou=groups,dc=Example,dc=org"),
        ("cn=R\\2CD,dc=x", "cn=R\\,D,dc=x"),
        ("cn=\\C3\\A9milie,dc=x", "cn=émilie,dc=x"),
        ("cn=a\\5Cb", "cn=a\\\\b"),
    ],
)
def test_two_spellings_of_a_dn_compare_equal(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


def test_an_escaped_comma_is_no_separator() -> None:
    assert comparable("cn=a\\,dc=x") != comparable("cn=a,dc=x")


@given(st.text())
def test_no_text_breaks_the_comparison(value: str) -> None:
    assert isinstance(comparable(value), str)
    assert isinstance(leaf(value), str)


@pytest.mark.parametrize(
    ("dn", "name"),
    [
        ("cn=staff,ou=groups,dc=example", "staff"),
        ("cn=R\\2CD,ou=groups", "R,D"),
        ("cn=a\\, b,ou=groups", "a, b"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_a_groups_own_name_is_its_first_value(dn: str, name: str) -> None:
    assert leaf(dn) == name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20261122063000Z", dt.datetime(2026, 11, 22, 6, 30, tzinfo=dt.UTC)),
        ("20261122063000.123456Z", dt.datetime(2026, 11, 22, 6, 30, tzinfo=dt.UTC)),
        ("000001010000Z", None),
        ("20261399000000Z", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_times_are_read_or_are_none(value: str, expected: dt.datetime | None) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("other", ["JOSÉ", " josé ", "jose\u0301", "José"])
def test_case_spaces_and_composition_make_no_other_name(other: str) -> None:
    assert alike(other) == alike("josé")


@pytest.mark.parametrize("other", ["jose", "\uff4aos\u00e9", "jos\u00e8", "j\u043es\u00e9", "jo sé"])
def test_look_alikes_are_other_names(other: str) -> None:
    assert alike(other) != alike("josé")
