"""What another provider stated: for one attempt or question, not for long, and of one issuer."""

import datetime as dt
import json

import pytest

from flows.authenticators.base import Question, Waiting
from flows.authenticators.linked_identity import LinkedIdentities, LinkedIdentity, sealed_answer
from store.authenticators import Authenticator
from store.vault import Vault
from tests.flows.conftest import OpenWorld
from tests.flows.world import START, World

VAULT = Vault([b"k" * 32])
ISSUER = "https://login.example.edu"
JANE = LinkedIdentity("University", ISSUER, "4711")
KIND = LinkedIdentities(VAULT, {"University": ISSUER, "Bank": "https://id.bank.example"})


def answer(identity: LinkedIdentity = JANE, bound_to: str = "attempt", vault: Vault = VAULT) -> str:
    return sealed_answer(vault, identity, bound_to=bound_to, now=START)


@pytest.fixture
def world(make_world: OpenWorld) -> World:
    return make_world()


def proved(world: World, given: str, after: dt.timedelta = dt.timedelta()) -> tuple[str, ...]:
    world.a_person("jane")
    with world.database.transaction() as transaction:
        kept = json.dumps({"provider": "University", "issuer": ISSUER, "subject": "4711"}).encode()
        mine: Authenticator = transaction.authenticators.add(
            world.person_id("jane"), "identity", kept, now=START, trusted_from=START, provenance="self"
        )
        question = Question("attempt", "", lambda: (mine,))
        return KIND.prove(question, given, transaction, now=START + after)


def test_the_right_answer_proves_it(world: World) -> None:
    assert proved(world, answer())


@pytest.mark.parametrize(
    "given",
    [
        answer(bound_to="another attempt"),
        answer(LinkedIdentity("University", ISSUER, "4712")),
        answer(LinkedIdentity("University", "https://id.bank.example", "4711")),
        answer(vault=Vault([b"x" * 32])),
        answer()[:-8] + "AAAAAAA=",
    ],
    ids=["another attempt's", "another subject", "another issuer", "another key", "altered"],
)
def test_any_other_proves_nothing(world: World, given: str) -> None:
    assert proved(world, given) == ()


def test_it_is_good_for_five_minutes(world: World) -> None:
    assert proved(world, answer(), after=dt.timedelta(minutes=5, seconds=1)) == ()


def test_a_binding_takes_the_provider_that_was_chosen_and_its_own_answer() -> None:
    waiting = Waiting("question", b"University", START, lambda _code: False)
    assert KIND.kept(waiting, answer(bound_to="question"), now=START)
    assert KIND.kept(waiting, answer(bound_to="attempt"), now=START) is None
    bank = LinkedIdentity("Bank", "https://id.bank.example", "4711")
    assert KIND.kept(waiting, answer(bank, bound_to="question"), now=START) is None
