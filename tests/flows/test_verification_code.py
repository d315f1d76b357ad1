import pytest

from flows import verification_code
from store.vault import Vault

VAULT = Vault([b"k" * 32])


def test_codes_are_six_digits_and_not_the_same() -> None:
    codes = {verification_code.new_code() for _ in range(200)}
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    assert len(codes) > 150


@pytest.mark.parametrize(
    "typed",
    [
        "012345",
        " 012345 ",
        "012 345",
        "012-345",
        "\uff10\uff11\uff12\uff13\uff14\uff15",
        "012\u00a0345",
        "0 1 2 3 4 5",
    ],
)
def test_ways_to_type_one_code_match(typed: str) -> None:
    stored = verification_code.digest(VAULT, "012345", bound_to="attempt", kind="email")
    assert verification_code.matches(VAULT, typed, stored, bound_to="attempt", kind="email")


@pytest.mark.parametrize(
    ("typed", "bound_to", "kind"),
    [
        ("012346", "attempt", "email"),
        ("12345", "attempt", "email"),
        ("", "attempt", "email"),
        ("012345", "other", "email"),
        ("012345", "attempt", "sms"),
        ("012345" * 100, "attempt", "email"),
        ("\ud800", "attempt", "email"),
    ],
)
def test_anything_else_does_not(typed: str, bound_to: str, kind: str) -> None:
    stored = verification_code.digest(VAULT, "012345", bound_to="attempt", kind="email")
    assert not verification_code.matches(VAULT, typed, stored, bound_to=bound_to, kind=kind)


def test_what_is_stored_outlives_a_rotation_of_keys() -> None:
    stored = verification_code.digest(VAULT, "012345", bound_to="attempt", kind="email")
    rotated = Vault([b"n" * 32, b"k" * 32])
    assert verification_code.matches(rotated, "012345", stored, bound_to="attempt", kind="email")
