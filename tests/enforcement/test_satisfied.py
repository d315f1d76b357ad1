import base64
import dataclasses
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.satisfied import LONGEST, PURPOSE, Satisfied, mint, read
from store.vault import Vault
from tests.enforcement.making import NOW

SECOND = dt.timedelta(seconds=1)
VAULT = Vault([b"s" * 32])
KEY, KEYS = VAULT.signing_key(PURPOSE), VAULT.verifying_keys(PURPOSE)
CLAIM = Satisfied("https://idp.example", "ana", "session", policy_version=3, person_epoch=1)
TOKEN = mint(CLAIM, KEY, now=NOW)


def test_a_claim_comes_back_whole() -> None:
    assert read(TOKEN, KEYS, now=NOW) == CLAIM


def test_it_lives_five_minutes_and_not_a_second_more() -> None:
    assert read(TOKEN, KEYS, now=NOW + LONGEST - SECOND) == CLAIM
    assert read(TOKEN, KEYS, now=NOW + LONGEST) is None


def test_it_can_live_shorter_and_never_longer() -> None:
    assert read(mint(CLAIM, KEY, now=NOW, lifetime=SECOND), KEYS, now=NOW + SECOND) is None
    with pytest.raises(ValueError, match="five minutes"):
        mint(CLAIM, KEY, now=NOW, lifetime=LONGEST + SECOND)


def test_one_that_was_made_in_the_future_is_none() -> None:
    assert read(TOKEN, KEYS, now=NOW - dt.timedelta(minutes=1)) is None
    assert read(TOKEN, KEYS, now=NOW - 20 * SECOND) == CLAIM


def test_signed_for_another_purpose_or_by_another_ring_it_is_none() -> None:
    assert read(TOKEN, [VAULT.signing_key("portal")], now=NOW) is None
    assert read(TOKEN, Vault([bytes(32)]).verifying_keys(PURPOSE), now=NOW) is None
    assert read(TOKEN, [], now=NOW) is None


def test_it_is_read_during_a_rotation() -> None:
    rotated = Vault([b"n" * 32, b"s" * 32])
    assert read(TOKEN, rotated.verifying_keys(PURPOSE), now=NOW) == CLAIM


@given(position=st.integers(0, len(TOKEN) - 1), replacement=st.characters())
def test_one_changed_character_anywhere_makes_it_none_or_leaves_the_same_claim(
    position: int, replacement: str
) -> None:
    changed = TOKEN[:position] + replacement + TOKEN[position + 1 :]
    # The last character of a base64 text carries bits that mean nothing; the claim is the same then.
    assert read(changed, KEYS, now=NOW) in {None, CLAIM}


def test_no_other_claim_can_be_put_under_the_same_signature() -> None:
    body, _, mac = TOKEN.partition(".")
    document = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(document | {"subject": "mallory"}).encode()).decode()
    assert read(f"{forged}.{mac}", KEYS, now=NOW) is None


@given(st.text(max_size=60))
def test_any_text_is_none(token: str) -> None:
    assert read(token, KEYS, now=NOW) is None


@pytest.mark.parametrize(
    "token", ["", ".", "a.b", "\ud800.\ud800", "." + TOKEN.partition(".")[2], TOKEN + "."]
)
def test_what_is_no_token_is_none(token: str) -> None:
    assert read(token, KEYS, now=NOW) is None


def test_a_claim_fits_its_own_response_only() -> None:
    own = (CLAIM.issuer, CLAIM.subject, CLAIM.session_id, CLAIM.policy_version)
    assert CLAIM.fits(*own)
    assert not CLAIM.fits("https://other.example", *own[1:])
    assert not CLAIM.fits(own[0], "ben", *own[2:])
    assert not CLAIM.fits(*own[:2], "another session", own[3])
    assert not CLAIM.fits(*own[:3], 4)


def test_a_claim_without_a_session_fits_nothing() -> None:
    claim = dataclasses.replace(CLAIM, session_id="")
    assert not claim.fits(claim.issuer, claim.subject, "", claim.policy_version)
