"""Every kind of authenticator: what `flows.authenticators.base.Kind` promises."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest

from flows import verification_code
from flows.authenticators import recovery_codes, totp
from flows.authenticators.base import Question
from flows.authenticators.registry import all_kinds
from flows.errors import CodeExpired
from store.authenticators import Authenticator
from store.database import Database
from store.vault import Vault

NOW = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)
VAULT = Vault([b"k" * 32])
KINDS = all_kinds(VAULT)
SEED = totp.new_seed()
CODES = recovery_codes.new_codes()
SECRETS = {
    "email": b"jane@home.example",
    "totp": SEED,
    "recovery_codes": recovery_codes.secret_of(CODES),
}
ANSWERS = {
    "email": "012345",
    "totp": pyotp.TOTP(totp.base32(SEED)).at(NOW),
    "recovery_codes": CODES[3],
}


@dataclass
class Bound:
    """One person with one authenticator of a kind, and the answer that proves it."""

    database: Database
    authenticator: Authenticator
    answer: str
    digest: str

    def prove(self, answer: str, candidates: tuple[Authenticator, ...] | None = None, now: Any = NOW) -> Any:
        mine = (self.authenticator,) if candidates is None else candidates
        question = Question("attempt", self.digest, lambda: mine)
        with self.database.transaction() as transaction:
            return KINDS[self.authenticator.kind].prove(question, answer, transaction, now=now)


@pytest.fixture(params=sorted(KINDS))
def bound(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bound]:
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", VAULT)
    database.upgrade()
    kind = request.param
    with database.transaction() as transaction:
        person = transaction.people.ensure("issuer", "jane", now=NOW)
        authenticator = transaction.authenticators.add(
            person.id, kind, SECRETS[kind], now=NOW, trusted_from=NOW, provenance="self"
        )
    answer = ANSWERS[kind]
    digest = verification_code.digest(VAULT, answer, bound_to="attempt", kind=kind)
    yield Bound(database, authenticator, answer, digest)
    database.dispose()


def test_the_right_answer_proves_the_authenticator(bound: Bound) -> None:
    assert bound.prove(bound.answer) == (bound.authenticator.id,)


def test_an_answer_may_be_typed_in_groups(bound: Bound) -> None:
    assert bound.prove(f"{bound.answer[:3]} {bound.answer[3:]}") == (bound.authenticator.id,)


@pytest.mark.parametrize("answer", ["", "000000", "12345", "1234567", "abcdef", "\x00", "9" * 10_000])
def test_a_wrong_answer_proves_nothing_and_uses_nothing_up(bound: Bound, answer: str) -> None:
    assert bound.prove(answer) == ()
    assert bound.prove(bound.answer) == (bound.authenticator.id,)


def test_an_answer_counts_once(bound: Bound) -> None:
    bound.prove(bound.answer)
    with pytest.raises(CodeExpired):
        bound.prove(bound.answer)


def test_the_right_answer_proves_nothing_for_a_decoy(bound: Bound) -> None:
    assert bound.prove(bound.answer, candidates=()) == ()


def test_the_owner_is_shown_no_whole_address(bound: Bound) -> None:
    kind = KINDS[bound.authenticator.kind]
    mask = kind.mask(bound.authenticator.secret)
    assert mask == ("j•••@h•••.example" if kind.is_sent else "")
