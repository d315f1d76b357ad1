import re

import pytest

from flows.authenticators import recovery_codes
from flows.authenticators.recovery_codes import is_complete, left, new_codes, plain, secret_of


def test_there_are_ten_different_codes_of_75_bits() -> None:
    codes = new_codes()
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){2}", code) for code in codes)


@pytest.mark.parametrize(
    "typed",
    [
        "k7qm4-w2xp0-dt1ab",
        "K7QM4W2XP0DT1AB",
        " k7qm4 w2xp0 dt1ab\n",
        "K7QM4-W2XPO-DTIAB",
        "k7qm4-w2xpo-dtlab",
        "K7QM4\u2011W2XP0\u2013DT1AB",
        "\uff2b7QM4 W2XP0\u00a0DT1AB\u200e",
    ],
)
def test_a_code_may_be_typed_as_people_type(typed: str) -> None:
    assert plain(typed) == "K7QM4W2XP0DT1AB"
    assert is_complete(typed)


@pytest.mark.parametrize(
    "typed", ["", "K7QM4-W2XP0", "K7QM4-W2XP0-DT1AB-C", "\ud800" * 15, "K7QM4*W2XP0*DT1AB", "x" * 10_000]
)
def test_what_cannot_be_a_code_is_not_complete(typed: str) -> None:
    assert not is_complete(typed)


def test_what_is_kept_holds_no_code_and_differs_for_the_same_codes() -> None:
    codes = new_codes()
    kept = secret_of(codes)
    assert left(kept) == 10
    assert kept != secret_of(codes)
    assert not any(code.encode() in kept or plain(code).encode() in kept for code in codes)


def test_no_letter_of_a_code_looks_like_another() -> None:
    letters = set("".join(new_codes())) - {"-"}
    assert not letters & set("ILOU")
    assert {plain(letter) for letter in "iIlL"} == {"1"}
    assert plain("o") == "0"
    assert recovery_codes.CODES == 10
