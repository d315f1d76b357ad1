"""What makes us ask again: evidence, the directory, an operator."""

import pytest

from flows.doubts import ask_again, compare_directory
from flows.errors import MessageNotSent
from flows.messaging.message import MessageKind
from flows.messaging.undeliverable import note_undeliverable
from idp_plugin.base import Subject
from store.audit import AuditAction
from store.vault import Vault
from tests.flows.world import World, private


def why_asked(world: World, username: str) -> str:
    status = world.recovery.registration.status(world.member(username), now=world.now)
    return status.gap.why if status.gap else ""


def test_a_code_that_nobody_takes_has_its_owner_asked_and_the_attempt_goes_on(world: World) -> None:
    world.a_person("bob", registered=("email", "totp"))
    world.clock.forward(hours=1)
    attempt = world.start("bob")
    world.drain()
    world.send(attempt)
    world.outbox.fail = MessageNotSent(unreachable=True)
    world.drain()
    assert why_asked(world, "bob") == "stale"
    (event,) = world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_DOUBTED)
    assert (event.person_id, event.detail) == (world.person_id("bob"), {"why": "undeliverable"})
    world.send(attempt, "totp")
    assert world.verify(attempt, world.app_code("bob")).proofs


@pytest.mark.parametrize(
    "failure", [MessageNotSent(), MessageNotSent(permanent=True)], ids=["for now", "for its content"]
)
def test_a_server_that_fails_otherwise_is_no_evidence(world: World, failure: MessageNotSent) -> None:
    world.a_person("bob", registered=("email",))
    world.clock.forward(hours=1)
    attempt = world.start("bob")
    world.drain()
    world.send(attempt)
    world.outbox.fail = failure
    world.drain_later()
    assert why_asked(world, "bob") == ""


@pytest.mark.parametrize("kind", [MessageKind.NOTICE, MessageKind.REGISTRATION_CODE, MessageKind.NAME])
def test_a_message_to_what_is_not_registered_is_no_evidence(world: World, kind: MessageKind) -> None:
    world.a_person("bob", registered=("email",))
    world.clock.forward(hours=1)
    note_undeliverable(world.database, world.person_id("bob"), kind, now=world.now)
    note_undeliverable(world.database, None, MessageKind.RESET_CODE, now=world.now)
    note_undeliverable(world.database, "gone since", MessageKind.RESET_CODE, now=world.now)
    assert why_asked(world, "bob") == ""


def test_looks_good_settles_a_doubt(world: World) -> None:
    bob = world.a_person("bob", registered=("email",))
    world.clock.forward(hours=1)
    assert ask_again(world.database, bob.subject, author="erin", now=world.now)
    assert why_asked(world, "bob") == "stale"
    world.recovery.registration.confirm_all(world.member("bob"), now=world.now)
    assert why_asked(world, "bob") == ""


def test_an_operator_who_asks_is_named_in_the_audit(world: World) -> None:
    bob = world.a_person("bob", registered=("email",))
    ask_again(world.database, bob.subject, author="erin", now=world.now)
    (event,) = world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_DOUBTED)
    assert event.detail == {"why": "asked", "author": "erin"}


def test_who_registered_nothing_is_asked_anyway(world: World) -> None:
    alice = world.a_person("alice")
    assert not ask_again(world.database, alice.subject, author="erin", now=world.now)
    assert not ask_again(world.database, Subject("idp", "nobody"), author="erin", now=world.now)
    assert not world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_DOUBTED)


def compared(world: World, vault: Vault | None = None) -> int:
    world.clock.forward(hours=1)
    everybody = world.directory.everyone()
    return compare_directory(world.database, vault or world.vault, everybody, now=world.now)


def test_other_addresses_in_the_directory_have_their_owner_asked_once(world: World) -> None:
    for name in ("alice", "bob", "carol"):
        world.a_person(name, registered=() if name == "alice" else ("email",), phones=("+31612345678",))
    assert compared(world) == 0
    world.directory.change("alice", emails=("new@example.org",))
    world.directory.change("bob", phones=("+31612345679",))
    world.directory.change("carol", display_name="Carol New", groups=frozenset({"staff"}))
    assert compared(world) == 1
    assert [why_asked(world, name) for name in ("bob", "carol")] == ["stale", ""]
    assert compared(world) == 0


def test_the_same_addresses_in_another_order_are_the_same(world: World) -> None:
    world.a_person("bob", registered=("email",), emails=("a@example.org", "b@example.org"))
    compared(world)
    world.directory.change("bob", emails=("b@example.org", "a@example.org", "b@example.org"))
    assert compared(world) == 0


def test_a_rotation_of_keys_changes_nobodys_addresses(world: World) -> None:
    world.a_person("bob", registered=("email",))
    compared(world)
    old, new = world.vault._keys[0], b"n" * 32
    assert compared(world, Vault([new, old])) == 0
    assert compared(world, Vault([new])) == 0


def test_what_the_directory_says_is_kept_as_a_digest_of_its_own(world: World) -> None:
    for name in ("bob", "carol"):
        world.a_person(name, registered=("email",), emails=("shared@example.org",))
    compared(world)
    with world.database.reading() as transaction:
        kept = {transaction.people.get(world.person_id(name)).directory_digest for name in ("bob", "carol")}
    assert len(kept) == 2
    assert not any("shared" in str(each) or private("bob") in str(each) for each in kept)
