"""Filters as they go over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin import ber
from idp_plugin.ldap.filter import encoded
from idp_plugin.ldap.names import equals

AND, OR, NOT, EQUAL, PRESENT = 0xA0, 0xA1, 0xA2, 0xA3, 0x87


def comparison(attribute: str, value: bytes) -> bytes:
    return ber.sequence([ber.text(attribute), ber.text(value)], EQUAL)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_arrives_as_it_was_and_means_nothing_else(value: str) -> None:
    assert encoded(equals("uid", value)) == comparison("uid", value.encode())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_never_ends_its_own_test(value: str) -> None:
    both = ber.sequence([ber.element(PRESENT, b"uid"), comparison("mail", value.encode())], AND)
    assert encoded(f"(&(uid=*){equals('mail', value)})") == both


def test_sets_nest() -> None:
    inner = ber.sequence([comparison("a", b"1"), ber.sequence([comparison("b", b"2")], NOT)], OR)
    assert encoded("(&(objectClass=*)(|(a=1)(!(b=2))))") == ber.sequence(
        [ber.element(PRESENT, b"objectClass"), inner], AND
    )


def test_bytes_are_written_as_pairs_of_digits() -> None:
    assert encoded("(objectGUID=\\00\\fF\\2a)") == comparison("objectGUID", b"\x00\xff*")


@pytest.mark.parametrize(
    "text",
    ["", "uid=a", "(uid)", "(uid=a", "(uid=a))", "(uid=a)(uid=b)", "(&)", "(&(uid=a)", "(!(a=1)(b=2))",
     "(uid=a*)", "(uid>=a)", "(uid:dn:=a)", "(=a)", "(u id=a)", "(uid=a\0)", "(uid=(a)"],
)  # fmt: skip
def test_what_is_not_a_filter_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="filter"):
        encoded(text)
