import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import SealBroken, StoreMisconfigured
from store.vault import Vault, open_with, seal_with

OLD = b"o" * 32
NEW = b"n" * 32
SEALED = Vault([NEW]).seal(b"seed", "authenticator:1")


def test_what_was_sealed_opens_for_the_same_place() -> None:
    assert Vault([NEW]).open(SEALED, "authenticator:1") == b"seed"


def test_what_was_sealed_for_one_person_does_not_open_for_another() -> None:
    with pytest.raises(SealBroken):
        Vault([NEW]).open(SEALED, "authenticator:2")


@given(position=st.integers(0, len(SEALED) - 1), bit=st.integers(0, 7))
def test_one_altered_bit_anywhere_breaks_the_seal(position: int, bit: int) -> None:
    altered = bytearray(SEALED)
    altered[position] ^= 1 << bit
    with pytest.raises(SealBroken):
        Vault([NEW]).open(bytes(altered), "authenticator:1")


@given(length=st.integers(0, len(SEALED) - 1))
def test_a_shortened_value_breaks_the_seal(length: int) -> None:
    with pytest.raises(SealBroken):
        Vault([NEW]).open(SEALED[:length], "authenticator:1")


def test_the_same_value_is_never_sealed_the_same_twice() -> None:
    vault = Vault([NEW])
    assert len({vault.seal(b"seed", "place") for _ in range(100)}) == 100


def test_a_sealed_value_does_not_hold_its_plain_text() -> None:
    assert b"seed" not in SEALED


def test_old_values_open_after_a_rotation_and_say_that_they_are_old() -> None:
    sealed = Vault([OLD]).seal(b"seed", "place")
    rotated = Vault([NEW, OLD])
    assert rotated.open(sealed, "place") == b"seed"
    assert rotated.needs_reseal(sealed)
    assert not rotated.needs_reseal(rotated.seal(b"seed", "place"))


def test_values_of_a_removed_key_do_not_open() -> None:
    with pytest.raises(SealBroken):
        Vault([NEW]).open(Vault([OLD]).seal(b"seed", "place"), "place")


def test_digests_differ_by_purpose_and_by_key() -> None:
    vault = Vault([NEW])
    digests = {vault.digest("123456", "code"), vault.digest("123456", "address")}
    assert len(digests | {Vault([OLD]).digest("123456", "code")}) == 3


def test_a_digest_matches_only_its_own_value_and_purpose() -> None:
    vault = Vault([NEW])
    digest = vault.digest("123456", "code")
    assert vault.digest_matches("123456", "code", digest)
    assert not vault.digest_matches("123457", "code", digest)
    assert not vault.digest_matches("123456", "address", digest)
    assert not vault.digest_matches("123456", "code", "")
    assert not vault.digest_matches("123456", "code", "ü")


def test_a_digest_made_before_a_rotation_still_matches_and_is_looked_up() -> None:
    digest = Vault([OLD]).digest("a@example.org", "address")
    rotated = Vault([NEW, OLD])
    assert rotated.digest_matches("a@example.org", "address", digest)
    assert digest in rotated.digests("a@example.org", "address")


@pytest.mark.parametrize("hostile", ["", "\x00", "\ud800", "a" * 10_000, "\u202e\u0000\U0010ffff"])
def test_hostile_text_is_digested_and_sealed_for_without_an_error(hostile: str) -> None:
    vault = Vault([NEW])
    assert len(vault.digest(hostile, "identifier")) == 64
    assert vault.open(vault.seal(b"x", hostile), hostile) == b"x"


def test_signing_keys_are_apart_from_each_other_and_from_the_root() -> None:
    vault = Vault([NEW])
    assert len({vault.signing_key("cookie"), vault.signing_key("satisfied"), NEW}) == 3
    assert len(vault.signing_key("cookie")) == 32


def test_signatures_made_before_a_rotation_can_still_be_verified() -> None:
    assert Vault([OLD]).signing_key("satisfied") in Vault([NEW, OLD]).verifying_keys("satisfied")


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b"x" * 33], [NEW, NEW]])
def test_a_ring_that_cannot_be_right_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(StoreMisconfigured):
        Vault(keys)


def test_a_vault_never_shows_its_keys() -> None:
    assert NEW.decode() not in repr(Vault([NEW]))


def test_a_key_that_only_the_cookie_carries_opens_what_it_sealed_and_nothing_else() -> None:
    sealed = seal_with(OLD, b"parked", "hold:1")
    assert open_with(OLD, sealed, "hold:1") == b"parked"
    for key, context in [(NEW, "hold:1"), (OLD, "hold:2")]:
        with pytest.raises(SealBroken):
            open_with(key, sealed, context)


def test_a_value_sealed_by_the_ring_does_not_open_under_the_bare_root() -> None:
    with pytest.raises(SealBroken):
        open_with(NEW, SEALED[5:], "authenticator:1")
