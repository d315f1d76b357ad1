"""Every kind of authenticator: what `flows.authenticators.base.Kind` promises."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from enforcement.policy import KINDS
from flows import verification_code
from flows.authenticators.base import Kind, Question
from flows.errors import CodeExpired
from flows.help.helpdesk_codes import IssuedCodes
from store.authenticators import Authenticator
from store.database import Database
from store.expiring import Expiring
from tests.contracts.kind_rows import NOW, REFERENCE, ROWS, VAULT, Row, kinds
from tests.servers.valkey import Valkey


@dataclass
class Bound:
    """One person with one authenticator of a kind, an open challenge, and the answer that proves it."""

    kind: Kind
    database: Database
    authenticator: Authenticator
    row: Row
    question: Question
    answer: str

    def prove(self, answer: str, candidates: tuple[Authenticator, ...] | None = None, now: Any = NOW) -> Any:
        mine = (self.authenticator,) if candidates is None else candidates
        whose = self.question.person_id if mine else ""
        question = replace(self.question, candidates=lambda: mine, person_id=whose)
        worked_out = self.kind.work_out(question, answer)
        with self.database.transaction() as transaction:
            return self.kind.prove(question, worked_out, transaction, now=now)

    @property
    def proved(self) -> tuple[str, ...]:
        """What the right answer proves; what is handed out has no authenticator."""
        return ("id",) if self.row.hand_out else (self.authenticator.id,)


@pytest.fixture
def expiring(valkey: Valkey) -> Iterator[Expiring]:
    store = Expiring(valkey.url, VAULT)
    yield store
    store.close()


@pytest.fixture(params=KINDS)
def bound(request: pytest.FixtureRequest, tmp_path: Path, expiring: Expiring) -> Iterator[Bound]:
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", VAULT)
    database.upgrade()
    kind, row = kinds(expiring)[request.param], ROWS[request.param]
    with database.transaction() as transaction:
        person = transaction.people.ensure("issuer", "jane", now=NOW)
        authenticator = transaction.authenticators.add(
            person.id, kind.name, row.secret, now=NOW, trusted_from=NOW, provenance="self"
        )
    if row.hand_out:
        row.hand_out(IssuedCodes(expiring), person.id)
    question = Question(
        "attempt",
        "",
        lambda: (authenticator,),
        purpose="reset",
        person_id=person.id,
        reference=REFERENCE,
    )
    with database.transaction() as transaction:
        question = replace(question, asked=kind.ask(question, transaction, now=NOW))
    answer = row.answer(question.asked)
    digest = verification_code.digest(VAULT, answer, bound_to="attempt", kind=kind.name)
    yield Bound(kind, database, authenticator, row, replace(question, code_digest=digest), answer)
    database.dispose()


def test_the_right_answer_proves_the_authenticator(bound: Bound) -> None:
    assert bound.prove(bound.answer) == bound.proved


def test_an_answer_may_be_typed_in_groups(bound: Bound) -> None:
    typed = f"{bound.answer[:3]} {bound.answer[3:]}" if bound.row.is_typed else bound.answer
    assert bound.prove(typed) == bound.proved


@pytest.mark.parametrize(
    "answer", ["", "000000", "12345", "1234567", "abcdef", "\x00", "9" * 10_000, "{}", "[" * 10_000]
)
def test_a_wrong_answer_proves_nothing_and_uses_nothing_up(bound: Bound, answer: str) -> None:
    assert bound.prove(answer) == ()
    assert bound.prove(bound.answer) == bound.proved


def test_an_answer_counts_once(bound: Bound) -> None:
    bound.prove(bound.answer)
    with pytest.raises(CodeExpired):
        bound.prove(bound.answer)


def test_the_right_answer_proves_nothing_for_a_decoy(bound: Bound) -> None:
    assert bound.prove(bound.answer, candidates=()) == ()


def test_the_owner_is_shown_no_whole_address(bound: Bound) -> None:
    assert bound.kind.mask(bound.authenticator.secret) == bound.row.mask
