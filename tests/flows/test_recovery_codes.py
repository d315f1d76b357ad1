"""Recovery codes: made, saved, used once each, made anew, used up."""

import datetime as dt

import pytest

from flows.authenticators.base import Question
from flows.authenticators.recovery_codes import RecoveryCodes
from flows.errors import (
    AttemptExpired,
    CodeExpired,
    NotPossible,
    NotReachable,
    ProofRequired,
    Unavailable,
    UnusableAddress,
    WrongCode,
)
from flows.registering.member import NewCodes, Pending, Registered
from store.audit import AuditAction
from store.database import Database
from store.vault import Vault
from tests.flows.test_registration import MINE, bind_email, prove
from tests.flows.world import ISSUER, World, policy, private

NEW = "correct horse battery"
KIND = "recovery_codes"


def new_codes_of(pending: Pending) -> NewCodes:
    """What the page shows of new codes."""
    assert isinstance(pending.shown, NewCodes)
    return pending.shown


def codes_of(pending: Pending) -> tuple[str, ...]:
    """The codes themselves."""
    return new_codes_of(pending).codes


def make_codes(world: World, username: str, **how: object) -> tuple[str, ...]:
    """Make codes and say that they are saved."""
    registration, member = world.recovery.registration, world.member(username)
    pending = registration.begin(member, "recovery_codes", now=world.now, **how)
    registration.confirm(member, pending.id, "", now=world.now)
    return codes_of(pending)


def asked_for_code(world: World, identifier: str, browser: str = "browser-a"):
    """An attempt that asks for a recovery code."""
    attempt = world.start(identifier, browser=browser)
    world.drain()
    return world.send(attempt, KIND, browser=browser)


def registered(world: World, username: str) -> tuple[Registered, ...]:
    return world.recovery.registration.status(world.member(username), now=world.now).authenticators


def gap_of(world: World, username: str):
    return world.recovery.registration.status(world.member(username), now=world.now).gap


def subjects(world: World, address: str) -> list[str]:
    world.drain()
    return [each.subject for each in world.outbox.to(address)]


def test_a_code_resets_the_password(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    attempt = world.verify(asked_for_code(world, "carol"), world.codes["carol"][4])
    world.set_password(attempt, NEW)
    assert world.directory.written == [("entry-carol", NEW)]


def test_codes_work_only_once_they_are_said_to_be_saved(make_world) -> None:
    world = make_world(document=policy(delay=0))
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "recovery_codes", now=world.now)
    assert world.authenticators("alice") == ()
    assert gap_of(world, "alice")
    bound = registration.confirm(member, pending.id, "", now=world.now)
    assert (bound.kind, bound.left, bound.masked) == (KIND, 10, "")
    assert not gap_of(world, "alice")
    assert world.verify(asked_for_code(world, "alice"), codes_of(pending)[0]).proofs


def test_codes_are_shown_until_they_are_saved_and_never_again(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "recovery_codes", now=world.now)
    assert registration.pending(member, pending.id, now=world.now) == pending
    registration.confirm(member, pending.id, "", now=world.now)
    with pytest.raises(AttemptExpired):
        registration.pending(member, pending.id, now=world.now)
    with pytest.raises(AttemptExpired):
        registration.confirm(member, pending.id, "", now=world.now)
    assert len(world.authenticators("alice")) == 1


def test_codes_are_wiped_once_they_are_saved(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "recovery_codes", now=world.now)
    registration.confirm(member, pending.id, "", now=world.now)
    kept = world.expiring.peek("question", pending.id)
    assert kept
    assert codes_of(pending)[0].encode().hex().encode() not in kept


def test_codes_are_shown_in_the_session_that_made_them_alone(world: World) -> None:
    world.a_person("alice")
    registration = world.recovery.registration
    pending = registration.begin(world.member("alice"), "recovery_codes", now=world.now)
    other = world.member("alice", session="another")
    with pytest.raises(AttemptExpired):
        registration.pending(other, pending.id, now=world.now)
    with pytest.raises(AttemptExpired):
        registration.confirm(other, pending.id, "", now=world.now)


def test_codes_that_are_not_saved_in_time_are_void(world: World) -> None:
    world.a_person("alice")
    pending = world.recovery.registration.begin(world.member("alice"), "recovery_codes", now=world.now)
    later = world.clock.forward(minutes=15)
    with pytest.raises(CodeExpired):
        world.recovery.registration.confirm(world.member("alice"), pending.id, "", now=later)


def test_nothing_else_is_bound_by_saying_that_it_is_saved(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    for pending in (
        registration.begin(member, "email", MINE, now=world.now),
        registration.begin(member, "totp", now=world.now),
    ):
        with pytest.raises(WrongCode):
            registration.confirm(member, pending.id, "", now=world.now)
    assert world.authenticators("alice") == ()


def test_codes_are_not_bound_by_an_answer(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "recovery_codes", now=world.now)
    for answer in ("123456", codes_of(pending)[0]):
        with pytest.raises(WrongCode):
            registration.confirm(member, pending.id, answer, now=world.now)
    assert world.authenticators("alice") == ()


def test_first_codes_on_a_password_alone_wait_as_long_as_the_policy_says(world: World) -> None:
    world.a_person("alice")
    codes = make_codes(world, "alice")
    (bound,) = world.authenticators("alice")
    assert bound.trusted_from == world.now + dt.timedelta(hours=24)
    with pytest.raises(WrongCode):
        world.verify(asked_for_code(world, "alice"), codes[0])


def test_nothing_is_bound_while_nobody_can_be_told(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "recovery_codes", now=world.now)
    world.directory.down = True
    with pytest.raises(Unavailable):
        registration.confirm(member, pending.id, "", now=world.now)
    world.directory.down = False
    assert registration.confirm(member, pending.id, "", now=world.now)


def test_a_used_code_is_told_from_a_wrong_one_and_proves_nothing(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    code = world.codes["carol"][0]
    world.verify(asked_for_code(world, "carol"), code)
    attempt = asked_for_code(world, "carol", "browser-b")
    with pytest.raises(CodeExpired):
        world.verify(attempt, code, browser="browser-b")
    with pytest.raises(WrongCode):
        world.verify(attempt, "K7QM4-W2XP9-DT3AB", browser="browser-b")
    assert world.read(attempt, browser="browser-b").proofs == ()


def test_a_code_is_spent_even_when_a_restored_row_still_lists_it(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    (before,) = world.authenticators("carol")
    world.verify(asked_for_code(world, "carol"), world.codes["carol"][0])
    with world.database.transaction() as transaction:
        transaction.authenticators.change_secret(before.id, lambda _secret: before.secret)
    with pytest.raises(CodeExpired):
        world.verify(asked_for_code(world, "carol", "b"), world.codes["carol"][0], browser="b")


def test_what_is_left_is_shown_and_told_to_every_address(world: World) -> None:
    world.a_person("carol", registered=("email", KIND))
    world.verify(asked_for_code(world, "carol"), world.codes["carol"][0])
    assert [each.left for each in registered(world, "carol")] == [None, 9]
    assert [each.detail["left"] for each in world.audited(AuditAction.RECOVERY_CODE_USED)] == [9]
    world.drain()
    for address in ("carol@example.org", private("carol")):
        (notice,) = world.outbox.to(address)
        assert notice.subject == "A recovery code was used at Example Company"
        assert "Recovery codes that are left: 9." in notice.text
        assert "/not-me/" in notice.text
        assert world.codes["carol"][0] not in notice.text


def test_the_notice_waits_for_the_directory(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    attempt = asked_for_code(world, "carol")
    world.directory.down = True
    # The code counts, and the person is told that nothing can be changed now.
    with pytest.raises(NotReachable):
        world.verify(attempt, world.codes["carol"][0])
    assert subjects(world, "carol@example.org") == []
    world.directory.down = False
    world.drain_later()
    assert subjects(world, "carol@example.org") == ["A recovery code was used at Example Company"]


def test_a_wrong_code_uses_nothing_up_and_tells_nobody(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    with pytest.raises(WrongCode):
        world.verify(asked_for_code(world, "carol"), "K7QM4-W2XP9-DT3AB")
    assert [each.left for each in registered(world, "carol")] == [10]
    assert subjects(world, "carol@example.org") == []


def test_the_last_code_still_resets_and_then_the_set_counts_no_more(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    for number, code in enumerate(world.codes["carol"][:-1]):
        world.verify(asked_for_code(world, "carol", f"browser-{number}"), code, browser=f"browser-{number}")
    assert not gap_of(world, "carol")
    attempt = world.verify(asked_for_code(world, "carol"), world.codes["carol"][-1])
    world.set_password(attempt, NEW)
    assert world.directory.written == [("entry-carol", NEW)]
    assert gap_of(world, "carol").why == "unregistered"
    assert [(each.left, each.suspended) for each in registered(world, "carol")] == [(0, True)]
    assert "It was the last one." in texts(world, "carol@example.org")


def texts(world: World, address: str) -> str:
    world.drain()
    return "\n".join(each.text for each in world.outbox.to(address))


def test_the_last_code_is_no_way_round_a_freeze(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    for number, code in enumerate(world.codes["carol"][:-1]):
        world.verify(asked_for_code(world, "carol", f"browser-{number}"), code, browser=f"browser-{number}")
    attempt = world.verify(asked_for_code(world, "carol"), world.codes["carol"][-1])
    with world.database.transaction() as transaction:
        transaction.people.freeze(world.person_id("carol"), now=world.now)
        transaction.people.unfreeze(world.person_id("carol"))
    with pytest.raises(AttemptExpired):
        world.set_password(attempt, NEW)
    assert world.directory.written == []


def test_a_used_up_set_asks_for_no_proof_and_makes_room(make_world) -> None:
    world = make_world(document=policy(delay=0))
    world.a_person("carol", registered=(KIND,))
    use_up(world, "carol")
    codes = make_codes(world, "carol")
    assert [each.left for each in registered(world, "carol")] == [10]
    assert world.verify(asked_for_code(world, "carol", "new"), codes[0], browser="new").proofs


def use_up(world: World, username: str) -> None:
    for number, code in enumerate(world.codes[username]):
        world.verify(asked_for_code(world, username, f"used-{number}"), code, browser=f"used-{number}")


def test_making_new_codes_needs_a_proof_and_voids_the_old_ones(world: World) -> None:
    world.a_person("carol", registered=("email", KIND))
    with pytest.raises(ProofRequired):
        world.recovery.registration.begin(world.member("carol"), "recovery_codes", now=world.now)
    prove(world, "carol")
    pending = world.recovery.registration.begin(world.member("carol"), "recovery_codes", now=world.now)
    assert new_codes_of(pending).voids_earlier
    world.recovery.registration.confirm(world.member("carol"), pending.id, "", now=world.now)
    attempt = asked_for_code(world, "carol")
    with pytest.raises(WrongCode):
        world.verify(attempt, world.codes["carol"][0])
    assert world.verify(attempt, codes_of(pending)[0]).proofs
    assert "New recovery codes were made for your account at Example Company" in subjects(
        world, private("carol")
    )


def test_old_codes_work_until_the_new_ones_are_saved(world: World) -> None:
    world.a_person("carol", registered=("email", KIND))
    prove(world, "carol")
    world.recovery.registration.begin(world.member("carol"), "recovery_codes", now=world.now)
    assert world.verify(asked_for_code(world, "carol"), world.codes["carol"][0]).proofs


def test_new_codes_end_an_attempt_that_rests_on_old_ones(world: World) -> None:
    world.a_person("carol", registered=("email", KIND))
    attempt = world.verify(asked_for_code(world, "carol"), world.codes["carol"][0])
    world.drain()
    prove(world, "carol")
    make_codes(world, "carol")
    with pytest.raises(AttemptExpired):
        world.set_password(attempt, NEW)


def test_a_proof_that_ran_out_while_the_codes_were_printed_is_asked_again(world: World) -> None:
    world.a_person("carol", registered=("email", KIND))
    prove(world, "carol")
    registration, member = world.recovery.registration, world.member("carol")
    pending = registration.begin(member, "recovery_codes", now=world.now)
    world.expiring.drop("step up", f"{member.session}\n{member.subject.source}\n{member.subject.id}")
    with pytest.raises(ProofRequired):
        registration.confirm(member, pending.id, "", now=world.now)
    world.clock.forward(minutes=2)
    prove(world, "carol")
    assert registration.confirm(member, pending.id, "", now=world.now).left == 10


def test_who_lost_everything_gets_new_codes_that_wait_and_the_old_ones_stay(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    pending = world.recovery.registration.begin(
        world.member("carol"), "recovery_codes", now=world.now, lost=True
    )
    assert not new_codes_of(pending).voids_earlier
    world.recovery.registration.confirm(world.member("carol"), pending.id, "", now=world.now)
    old, new = world.authenticators("carol")
    assert new.trusted_from == world.now + dt.timedelta(hours=24)
    assert old.usable(world.now)
    assert world.verify(asked_for_code(world, "carol"), world.codes["carol"][0]).proofs
    assert "was added" in texts(world, "carol@example.org")


def test_sets_that_a_thief_may_add_are_few(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    for _more in range(4):
        make_codes(world, "carol", lost=True)
    with pytest.raises(UnusableAddress):
        make_codes(world, "carol", lost=True)


def test_a_code_is_a_proof_before_changes_and_is_used_up_by_it(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    registration, member = world.recovery.registration, world.member("carol")
    (own,) = world.authenticators("carol")
    pending = registration.prove_begin(member, own.id, now=world.now)
    registration.prove_confirm(member, pending.id, world.codes["carol"][7].lower(), now=world.now)
    assert not registration.status(member, now=world.now).proof_needed
    assert [each.left for each in registered(world, "carol")] == [9]
    assert subjects(world, "carol@example.org") == ["A recovery code was used at Example Company"]
    assert bind_email(world, "carol").trusted_from == world.now


def test_a_decoy_takes_no_code_and_everybody_is_asked_alike(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    world.a_person("bob", registered=("email",))
    for name in ("nobody", "bob"):
        attempt = asked_for_code(world, name)
        assert attempt.kinds == ("email", "totp", KIND)
        with pytest.raises(WrongCode) as refused:
            world.verify(attempt, world.codes["carol"][0])
        assert refused.value.attempts_left == 4
    assert [each.left for each in registered(world, "carol")] == [10]


def test_frozen_people_make_no_codes(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    with world.database.transaction() as transaction:
        transaction.people.freeze(world.person_id("carol"), now=world.now)
    with pytest.raises(NotPossible):
        world.recovery.registration.begin(world.member("carol"), "recovery_codes", now=world.now, lost=True)


def test_codes_are_refused_where_the_rule_does_not_list_them(make_world) -> None:
    world = make_world(document=policy(more='kinds = ["email"]'))
    world.a_person("carol")
    with pytest.raises(NotPossible):
        world.recovery.registration.begin(world.member("carol"), "recovery_codes", now=world.now)


def test_all_codes_together_are_one_kind_and_one_of_those_to_register(make_world) -> None:
    world = make_world(document=policy(register=2, reset=2, delay=0))
    world.a_person("carol", registered=(KIND,))
    assert gap_of(world, "carol").more == 1


def test_a_rotation_of_keys_voids_no_paper(world: World, tmp_path) -> None:
    world.a_person("carol", registered=(KIND,))
    rotated = Vault([b"n" * 32, b"k" * 32])
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", rotated)
    with database.transaction() as transaction:
        assert transaction.authenticators.reseal(100) == 1
    database.dispose()
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", Vault([b"n" * 32]))
    with database.transaction() as transaction:
        person = transaction.people.by_subject(ISSUER, "sub-carol")
        own = transaction.authenticators.of(person.id)
        question = Question("attempt", "", lambda: own)
        assert RecoveryCodes().prove(question, world.codes["carol"][0], transaction, now=world.now)
    database.dispose()


def test_no_code_is_shown_when_anything_is_printed(world: World) -> None:
    world.a_person("carol", registered=(KIND,))
    pending = world.recovery.registration.begin(
        world.member("carol"), "recovery_codes", now=world.now, lost=True
    )
    printed = repr((pending, world.authenticators("carol")))
    assert not any(code in printed for code in codes_of(pending))
