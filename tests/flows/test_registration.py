import base64
import datetime as dt

import pytest

from flows.errors import (
    AttemptExpired,
    CodeExpired,
    LastMethod,
    NotPossible,
    ProofRequired,
    TooManyAttempts,
    TooSoon,
    Unavailable,
    UnusableAddress,
    WrongCode,
    WrongStage,
)
from flows.notices.freezing import unfreeze
from flows.registering.binding import LOST_WAITS
from flows.registering.member import NewApp
from flows.registering.registration import Pending, Registered
from store.audit import AuditAction
from tests.flows.world import World, app_code, code_in, policy, private, wrong

MINE = "alice@home.example"


def seed_of(pending: Pending) -> bytes:
    assert isinstance(pending.shown, NewApp)
    text = pending.shown.secret_base32
    return base64.b32decode(text + "=" * (-len(text) % 8))


def bind_email(world: World, username: str, address: str = MINE, **how: object) -> Registered:
    member = how.pop("member", None) or world.member(username)
    pending = world.recovery.registration.begin(member, "email", address, now=world.now, **how)
    world.drain()
    code = code_in(world.outbox.to(address)[-1])
    return world.recovery.registration.confirm(member, pending.id, code, now=world.now)


def bind_app(world: World, username: str, **how: object) -> Registered:
    member = how.pop("member", None) or world.member(username)
    pending = world.recovery.registration.begin(member, "totp", now=world.now, **how)
    world.seeds[username] = seed_of(pending)
    code = app_code(seed_of(pending), world.now)
    return world.recovery.registration.confirm(member, pending.id, code, now=world.now)


def prove(world: World, username: str, which: str = "email") -> None:
    """Give a step-up proof of an existing method."""
    registration, member = world.recovery.registration, world.member(username)
    chosen = next(each for each in world.authenticators(username) if each.kind == which)
    pending = registration.prove_begin(member, chosen.id, now=world.now)
    world.drain()
    code = (
        code_in(world.outbox.to(chosen.secret.decode())[-1]) if which == "email" else world.app_code(username)
    )
    registration.prove_confirm(member, pending.id, code, now=world.now)


def test_an_address_is_bound_by_its_code_and_satisfies_the_policy_at_once(world: World) -> None:
    world.a_person("alice")
    assert world.recovery.registration.status(world.member("alice"), now=world.now).gap
    bound = bind_email(world, "alice")
    status = world.recovery.registration.status(world.member("alice"), now=world.now)
    assert not status.gap
    assert status.authenticators == (bound,)
    assert bound.masked == "a•••@h•••.example"


def test_a_first_binding_on_a_password_alone_waits_as_long_as_the_policy_says(world: World) -> None:
    world.a_person("alice")
    bound = bind_email(world, "alice")
    assert bound.trusted_from == world.now + dt.timedelta(hours=24)
    world.send(world.start("alice"))
    world.drain()
    assert len(world.outbox.to(MINE)) == 1


def test_a_stated_second_factor_makes_a_first_binding_count_at_once(world: World) -> None:
    world.a_person("alice")
    bound = bind_email(world, "alice", member=world.member("alice", amr=("pwd", "otp")))
    assert bound.trusted_from == world.now


def test_a_password_stated_in_amr_is_no_second_factor(world: World) -> None:
    world.a_person("alice")
    bound = bind_email(world, "alice", member=world.member("alice", amr=("pwd", "pin", "kba")))
    assert bound.trusted_from > world.now


def test_every_directory_address_is_told_of_a_binding_at_once(world: World) -> None:
    world.a_person("alice", emails=("alice@example.org", "alice@old.example"))
    bind_email(world, "alice")
    world.drain()
    for address in ("alice@example.org", "alice@old.example"):
        (notice,) = world.outbox.to(address)
        assert "was added" in notice.subject
        assert "https://sso.example.org/sparekey/not-me/" in notice.text


def test_the_new_address_itself_gets_no_way_to_stop_it(world: World) -> None:
    world.a_person("alice")
    bind_email(world, "alice")
    world.drain()
    assert [each.subject for each in world.outbox.to(MINE)] == ["Confirm your address for Example Company"]


def test_an_app_is_bound_by_a_code_that_cannot_be_used_again(make_world) -> None:
    world = make_world(document=policy(delay=0))
    world.a_person("alice")
    bind_app(world, "alice")
    attempt = world.start("alice")
    world.drain()
    world.send(attempt, "totp")
    with pytest.raises(CodeExpired):
        world.verify(attempt, world.app_code("alice"))


def test_the_seed_is_shown_as_typed_secret_and_as_address(world: World) -> None:
    world.a_person("alice")
    pending = world.recovery.registration.begin(world.member("alice"), "totp", now=world.now)
    assert len(seed_of(pending)) == 20
    new = pending.shown
    assert isinstance(new, NewApp)
    assert new.uri.startswith("otpauth://totp/Example%20Company:alice?secret=" + new.secret_base32)


def test_a_wrong_code_binds_nothing_and_five_end_it(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "email", MINE, now=world.now)
    world.drain()
    code = code_in(world.outbox.to(MINE)[-1])
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongCode) as refused:
            registration.confirm(member, pending.id, wrong(code), now=world.now)
        assert refused.value.attempts_left == left
    with pytest.raises(AttemptExpired):
        registration.confirm(member, pending.id, code, now=world.now)
    assert world.authenticators("alice") == ()


def test_a_binding_is_confirmed_once(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "email", MINE, now=world.now)
    world.drain()
    code = code_in(world.outbox.to(MINE)[-1])
    registration.confirm(member, pending.id, code, now=world.now)
    with pytest.raises(AttemptExpired):
        registration.confirm(member, pending.id, code, now=world.now)


@pytest.mark.parametrize("stranger", ["another person", "another session"])
def test_only_the_session_that_began_may_confirm(world: World, stranger: str) -> None:
    world.a_person("alice")
    world.a_person("mallory")
    registration = world.recovery.registration
    pending = registration.begin(world.member("alice"), "email", MINE, now=world.now)
    world.drain()
    code = code_in(world.outbox.to(MINE)[-1])
    other = world.member("mallory") if stranger == "another person" else world.member("alice", "other")
    with pytest.raises(AttemptExpired):
        registration.confirm(other, pending.id, code, now=world.now)
    assert world.authenticators("mallory") == ()


def test_a_confirmation_code_is_good_for_five_minutes(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "email", MINE, now=world.now)
    world.drain()
    code = code_in(world.outbox.to(MINE)[-1])
    world.clock.forward(minutes=5)
    with pytest.raises(CodeExpired):
        registration.confirm(member, pending.id, code, now=world.now)


def test_more_is_added_only_after_a_proof_of_what_exists(world: World) -> None:
    world.a_person("bob", registered=("email",))
    registration, member = world.recovery.registration, world.member("bob")
    assert registration.status(member, now=world.now).proof_needed
    with pytest.raises(ProofRequired):
        registration.begin(member, "email", "mallory@evil.example", now=world.now)
    with pytest.raises(ProofRequired):
        registration.begin(member, "totp", now=world.now)
    prove(world, "bob")
    assert not registration.status(member, now=world.now).proof_needed
    assert bind_app(world, "bob").trusted_from == world.now


def test_a_proof_counts_in_its_session_alone(world: World) -> None:
    world.a_person("bob", registered=("email",))
    prove(world, "bob")
    with pytest.raises(ProofRequired):
        world.recovery.registration.begin(world.member("bob", "other-session"), "totp", now=world.now)


def test_an_app_proves_too(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    prove(world, "carol", "totp")
    assert not world.recovery.registration.status(world.member("carol"), now=world.now).proof_needed


def test_wrong_proofs_are_limited_per_day_across_questions(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    registration, member = world.recovery.registration, world.member("carol")
    (app,) = world.authenticators("carol")
    for _ in range(2):
        pending = registration.prove_begin(member, app.id, now=world.now)
        for guess in ("000000", "000001"):
            with pytest.raises(WrongCode):
                registration.prove_confirm(member, pending.id, guess, now=world.now)
    pending = registration.prove_begin(member, app.id, now=world.now)
    with pytest.raises(WrongCode):
        registration.prove_confirm(member, pending.id, "000000", now=world.now)
    with pytest.raises(TooManyAttempts):
        registration.prove_confirm(member, pending.id, world.app_code("carol"), now=world.now)


def test_nobody_proves_with_somebody_elses_authenticator(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.a_person("mallory", registered=("email",))
    (mallorys,) = world.authenticators("mallory")
    with pytest.raises(AttemptExpired):
        world.recovery.registration.prove_begin(world.member("bob"), mallorys.id, now=world.now)


def test_a_proof_is_no_binding_and_a_binding_no_proof(world: World) -> None:
    world.a_person("bob", registered=("email",))
    registration, member = world.recovery.registration, world.member("bob")
    (mine,) = world.authenticators("bob")
    proof = registration.prove_begin(member, mine.id, now=world.now)
    world.drain()
    with pytest.raises(AttemptExpired):
        registration.confirm(member, proof.id, code_in(world.outbox.messages[-1]), now=world.now)
    binding = registration.begin(member, "email", MINE, now=world.now, lost=True)
    world.drain()
    with pytest.raises(AttemptExpired):
        registration.prove_confirm(member, binding.id, code_in(world.outbox.to(MINE)[-1]), now=world.now)


def test_who_lost_everything_may_bind_anew_and_waits_at_least_a_day(make_world) -> None:
    world = make_world(document=policy(delay=0))
    world.a_person("bob", registered=("email",))
    bound = bind_email(world, "bob", member=world.member("bob", amr=("mfa",)), lost=True)
    assert bound.trusted_from == world.now + LOST_WAITS == world.now + dt.timedelta(hours=24)
    assert len(world.authenticators("bob")) == 2
    world.drain()
    assert "was added" in world.outbox.to(private("bob"))[-1].subject


def test_what_was_bound_without_a_proof_cannot_remove_what_was_there(world: World) -> None:
    world.a_person("bob", registered=("email",))
    old = world.authenticators("bob")[0]
    bind_email(world, "bob", lost=True)
    with pytest.raises(ProofRequired):
        world.recovery.registration.remove(world.member("bob"), old.id, now=world.now)


def test_lost_methods_are_never_replaced(world: World) -> None:
    world.a_person("bob", registered=("email",))
    old = world.authenticators("bob")[0]
    with pytest.raises(ProofRequired):
        world.recovery.registration.begin(
            world.member("bob"), "email", MINE, now=world.now, lost=True, replaces=old.id
        )


def test_a_second_method_in_the_first_sitting_waits_like_the_first(make_world) -> None:
    world = make_world(document=policy(register=2))
    world.a_person("alice")
    bind_email(world, "alice")
    assert bind_app(world, "alice").trusted_from == world.now + dt.timedelta(hours=24)


def test_where_first_bindings_count_at_once_two_fit_in_one_sitting(make_world) -> None:
    world = make_world(document=policy(register=2, delay=0))
    world.a_person("alice")
    bind_email(world, "alice")
    assert bind_app(world, "alice").trusted_from == world.now


def test_an_address_is_changed_by_replacing_it(world: World) -> None:
    world.a_person("bob", registered=("email",))
    old = world.authenticators("bob")[0]
    prove(world, "bob")
    world.clock.forward(seconds=61)
    bind_email(world, "bob", replaces=old.id)
    assert [each.secret for each in world.authenticators("bob")] == [MINE.encode()]


def test_removal_needs_a_proof_and_leaves_what_the_policy_asks(world: World) -> None:
    world.a_person("carol", registered=("email", "totp"))
    registration, member = world.recovery.registration, world.member("carol")
    mail, app = sorted(world.authenticators("carol"), key=lambda each: each.kind)
    with pytest.raises(ProofRequired):
        registration.remove(member, app.id, now=world.now)
    prove(world, "carol")
    registration.remove(member, app.id, now=world.now)
    with pytest.raises(LastMethod):
        registration.remove(member, mail.id, now=world.now)


def test_every_address_is_told_of_a_removal(world: World) -> None:
    world.a_person("carol", registered=("email", "totp"))
    prove(world, "carol", "totp")
    mail = next(each for each in world.authenticators("carol") if each.kind == "email")
    world.recovery.registration.remove(world.member("carol"), mail.id, now=world.now)
    world.drain()
    for address in ("carol@example.org", private("carol")):
        assert "was removed" in world.outbox.to(address)[-1].subject


def test_nobody_removes_somebody_elses(world: World) -> None:
    world.a_person("bob", registered=("email", "totp"))
    world.a_person("mallory", registered=("email",))
    prove(world, "mallory")
    with pytest.raises(AttemptExpired):
        world.recovery.registration.remove(
            world.member("mallory"), world.authenticators("bob")[0].id, now=world.now
        )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "alice@",
        "@home.example",
        "alice@localhost",
        "a b@home.example",
        '"alice"@home.example',
        "alice@home.example\nBcc: all@home.example",
        "alice@home..example",
        "alice@-home.example",
        "alice@127.0.0.1",
        "alice@[127.0.0.1]",
        "alice@home.example, mallory@evil.example",
        "x" * 65 + "@home.example",
        "alice@" + "x" * 250 + ".example",
        "al\u0131ce@home.example",
        "alice\x00@home.example",
    ],
)
def test_what_is_no_address_is_refused(world: World, address: str) -> None:
    world.a_person("alice")
    with pytest.raises(UnusableAddress) as refused:
        world.recovery.registration.begin(world.member("alice"), "email", address, now=world.now)
    assert refused.value.why == "malformed"


@pytest.mark.parametrize("address", ["alice@example.org", "ALICE@Example.ORG", "alice+recovery@example.org"])
def test_the_mailbox_behind_the_sign_in_is_refused(world: World, address: str) -> None:
    world.a_person("alice", emails=("alice@example.org", "alice@old.example"))
    with pytest.raises(UnusableAddress) as refused:
        world.recovery.registration.begin(world.member("alice"), "email", address, now=world.now)
    assert refused.value.why == "same_sign_in"


def test_a_domain_behind_the_sign_in_is_refused_whoever_has_the_mailbox(make_world) -> None:
    world = make_world(sign_in_domains=("Corp.example",))
    world.a_person("alice")
    with pytest.raises(UnusableAddress) as refused:
        world.recovery.registration.begin(world.member("alice"), "email", "hr@corp.example", now=world.now)
    assert refused.value.why == "same_sign_in"


def test_the_demo_need_not_wait_after_a_loss(make_world) -> None:
    world = make_world(document=policy(delay=0), lost_waits=dt.timedelta(0))
    world.a_person("bob", registered=("email",))
    assert bind_email(world, "bob", lost=True).trusted_from == world.now


def test_other_directory_addresses_are_suggested(world: World) -> None:
    world.a_person("alice", emails=("alice@example.org", "alice@old.example", "no address"))
    status = world.recovery.registration.status(world.member("alice"), now=world.now)
    assert status.suggestions == ("alice@old.example",)


def test_too_many_people_cannot_share_an_address(world: World) -> None:
    for name in ("alice", "bert", "cleo"):
        world.a_person(name)
        bind_email(world, name, "family@home.example")
    world.a_person("dora")
    with pytest.raises(UnusableAddress) as refused:
        world.recovery.registration.begin(
            world.member("dora"), "email", "Family+dora@home.example", now=world.now
        )
    assert refused.value.why == "shared"


def test_an_address_is_registered_once(world: World) -> None:
    world.a_person("alice")
    bind_email(world, "alice")
    with pytest.raises(UnusableAddress) as refused:
        world.recovery.registration.begin(world.member("alice"), "email", MINE.upper(), now=world.now)
    assert refused.value.why == "registered"


def test_international_domains_are_bound_in_their_wire_form(world: World) -> None:
    world.a_person("alice")
    bound = world.recovery.registration.begin(
        world.member("alice"), "email", "alice@bücher.example", now=world.now
    )
    assert bound.masked == "alice@xn--bcher-kva.example"


def test_sixty_seconds_lie_between_two_codes_for_a_binding(world: World) -> None:
    world.a_person("alice")
    begin = world.recovery.registration.begin
    begin(world.member("alice"), "email", MINE, now=world.now)
    with pytest.raises(TooSoon):
        begin(world.member("alice"), "email", "alice@other.example", now=world.now)


def test_one_address_gets_so_many_codes_an_hour_whoever_asks(world: World) -> None:
    begin = world.recovery.registration.begin
    for number in range(world.limits.code_messages_per_destination // 2):
        world.a_person(f"person{number}")
        begin(world.member(f"person{number}"), "email", "victim@home.example", now=world.now)
    world.a_person("mallory")
    with pytest.raises(TooManyAttempts):
        begin(world.member("mallory"), "email", "victim@home.example", now=world.now)


def test_nobody_without_a_rule_registers(make_world) -> None:
    world = make_world(document=policy().replace("everyone = true", 'groups = ["staff"]'))
    world.a_person("heidi")
    status = world.recovery.registration.status(world.member("heidi"), now=world.now)
    assert (status.rule, status.gap, status.kinds) == (None, None, ())
    with pytest.raises(NotPossible):
        world.recovery.registration.begin(world.member("heidi"), "totp", now=world.now)


def test_registration_needs_the_directory_to_know_the_locked_mailbox(world: World) -> None:
    world.a_person("alice")
    world.directory.down = True
    with pytest.raises(Unavailable):
        world.recovery.registration.begin(world.member("alice"), "email", MINE, now=world.now)
    assert world.recovery.registration.status(world.member("alice"), now=world.now).suggestions == ()


def test_looks_good_restarts_the_clock(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.clock.forward(days=400)
    registration, member = world.recovery.registration, world.member("bob")
    assert registration.status(member, now=world.now).gap.why == "stale"
    registration.confirm_all(member, now=world.now)
    assert not registration.status(member, now=world.now).gap


def test_looks_good_gives_later_back_once_nothing_is_missing(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.clock.forward(days=400)
    registration, member = world.recovery.registration, world.member("bob")
    registration.postpone(member, "session-1", now=world.now)
    registration.confirm_all(member, now=world.now)
    assert registration.status(member, now=world.now).postponement.left == 2


def test_looks_good_gives_nothing_back_while_something_is_missing(make_world) -> None:
    world = make_world(document=policy(register=2))
    world.a_person("bob", registered=("email",))
    registration, member = world.recovery.registration, world.member("bob")
    for session in ("session-1", "session-2"):
        registration.postpone(member, session, now=world.now)
        registration.confirm_all(member, now=world.now)
    with pytest.raises(WrongStage):
        registration.postpone(member, "session-3", now=world.now)


def test_nothing_registered_cannot_look_good(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    registration.postpone(member, "session-1", now=world.now)
    with pytest.raises(WrongStage):
        registration.confirm_all(member, now=world.now)
    assert registration.status(member, now=world.now).postponement.left == 1
    assert not world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_CONFIRMED)


def test_later_may_be_said_as_often_as_the_policy_says(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    assert registration.postpone(member, "session-1", now=world.now).left == 1
    assert registration.postpone(member, "session-1", now=world.now).left == 1
    assert registration.postpone(member, "session-2", now=world.now).left == 0
    assert registration.postpone(member, "session-2", now=world.now).left == 0
    with pytest.raises(WrongStage):
        registration.postpone(member, "session-3", now=world.now)
    assert len(world.audited(AuditAction.SIGN_IN_GATE_POSTPONED)) == 2


def test_registering_makes_later_available_again(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    registration.postpone(member, "session-1", now=world.now)
    bind_email(world, "alice")
    assert registration.status(member, now=world.now).postponement.left == 2


MILD_FOR_ONE_APPLICATION = """\
[[rules]]
name = "One application"
trust_delay_hours = 0
people_per_address = 9
[rules.who]
everyone = true
clients = ["mild"]

[[rules]]
name = "Staff"
trust_delay_hours = 48
people_per_address = 1
[rules.who]
groups = ["staff"]

[[rules]]
name = "Nobody of the staff"
trust_delay_hours = 100
[rules.who]
everyone = true
"""


def test_no_application_makes_a_binding_milder(make_world) -> None:
    world = make_world(document=MILD_FOR_ONE_APPLICATION)
    for username in ("alice", "bob"):
        world.a_person(username)
    staff = {"client_id": "mild", "groups": frozenset({"staff"})}
    bound = bind_email(world, "alice", member=world.member("alice", **staff))
    assert bound.trusted_from == world.now + dt.timedelta(hours=48)
    with pytest.raises(UnusableAddress) as refused:
        bind_email(world, "bob", member=world.member("bob", **staff))
    assert refused.value.why == "shared"


def test_a_page_that_is_shown_anew_finds_its_question(world: World) -> None:
    world.a_person("carol", registered=("email",))
    registration, member = world.recovery.registration, world.member("carol")
    proof = registration.prove_begin(member, world.authenticators("carol")[0].id, now=world.now)
    assert registration.pending(member, proof.id, now=world.now) == proof
    prove_again = registration.begin(member, "totp", now=world.now, lost=True)
    assert registration.pending(member, prove_again.id, now=world.now) == prove_again
    mail = registration.begin(member, "email", MINE, now=world.now, lost=True)
    again = registration.pending(member, mail.id, now=world.now)
    assert isinstance(again, Pending)
    assert again == mail


def stop_reference(world: World, address: str) -> str:
    world.drain()
    link = next(line for line in world.outbox.to(address)[-1].text.splitlines() if "/not-me/" in line)
    return link.rpartition("/")[2]


def test_this_was_not_me_suspends_what_was_bound_and_deletes_nothing(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.clock.forward(hours=1)
    bind_email(world, "bob", "mallory@evil.example", lost=True)
    reference = stop_reference(world, "bob@example.org")
    assert world.recovery.registration.may_stop(reference)
    assert world.recovery.registration.stop_binding(reference, now=world.now)
    old, new = world.authenticators("bob")
    assert (old.suspended_at, new.suspended_at) == (None, world.now)
    assert world.directory.ended == ["sub-bob"]
    assert world.audited(AuditAction.RECOVERY_FROZEN)


def test_looking_at_a_stop_link_changes_nothing(world: World) -> None:
    world.a_person("alice")
    bind_email(world, "alice")
    reference = stop_reference(world, "alice@example.org")
    for _ in range(3):
        assert world.recovery.registration.may_stop(reference)
    assert world.authenticators("alice")[0].suspended_at is None


def test_frozen_recovery_can_be_neither_changed_nor_used_until_it_is_lifted(world: World) -> None:
    identity = world.a_person("bob", registered=("email",))
    prove(world, "bob")
    bind_app(world, "bob")
    registration, member = world.recovery.registration, world.member("bob")
    registration.stop_binding(stop_reference(world, "bob@example.org"), now=world.now)
    assert registration.status(member, now=world.now).frozen
    for change in (
        lambda: registration.begin(member, "totp", now=world.now),
        lambda: registration.begin(member, "email", MINE, now=world.now, lost=True),
        lambda: registration.confirm_all(member, now=world.now),
        lambda: registration.remove(member, world.authenticators("bob")[0].id, now=world.now),
        lambda: registration.prove_begin(member, world.authenticators("bob")[0].id, now=world.now),
    ):
        with pytest.raises(NotPossible) as refused:
            change()
        assert refused.value.why == "frozen"
    assert unfreeze(world.database, identity.subject, author="helpdesk", now=world.now)
    assert not registration.status(member, now=world.now).frozen


def test_an_unknown_stop_reference_does_nothing(world: World) -> None:
    assert not world.recovery.registration.may_stop("unknown")
    assert not world.recovery.registration.stop_binding("unknown", now=world.now)


def test_refusals_are_audited(world: World) -> None:
    world.a_person("alice")
    with pytest.raises(UnusableAddress):
        world.recovery.registration.begin(world.member("alice"), "email", "alice@example.org", now=world.now)
    (event,) = world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_REFUSED)
    assert event.detail == {"why": "same_sign_in"}


def test_at_most_five_of_one_kind(world: World) -> None:
    world.a_person("carol", registered=("totp",) * 5)
    prove(world, "carol", "totp")
    with pytest.raises(UnusableAddress) as refused:
        world.recovery.registration.begin(world.member("carol"), "totp", now=world.now)
    assert refused.value.why == "too_many"


def test_nothing_is_bound_while_nobody_can_be_told_of_it(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "totp", now=world.now)
    code = app_code(seed_of(pending), world.now)
    world.directory.down = True
    with pytest.raises(Unavailable):
        registration.confirm(member, pending.id, code, now=world.now)
    assert world.authenticators("alice") == ()
    world.directory.down = False
    assert registration.confirm(member, pending.id, code, now=world.now).kind == "totp"


def test_a_freeze_in_the_last_moment_still_stops_the_binding(world: World, monkeypatch) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "totp", now=world.now)
    code, close = app_code(seed_of(pending), world.now), registration._questions.close

    def close_and_freeze(question: object) -> None:
        close(question)
        with world.database.transaction() as transaction:
            transaction.people.freeze(world.person_id("alice"), now=world.now)

    monkeypatch.setattr(registration._questions, "close", close_and_freeze)
    with pytest.raises(NotPossible):
        registration.confirm(member, pending.id, code, now=world.now)
    assert world.authenticators("alice") == ()


def test_a_question_that_a_fail_over_brought_back_is_still_answered(make_world) -> None:
    world = make_world(document=policy(delay=0))
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "totp", now=world.now)
    stored = world.expiring.peek("question", pending.id)
    code = app_code(seed_of(pending), world.now)
    registration.confirm(member, pending.id, code, now=world.now)
    world.expiring.put("question", pending.id, stored, ttl=dt.timedelta(minutes=5))
    with pytest.raises(AttemptExpired):
        registration.confirm(member, pending.id, code, now=world.now)


def test_a_binding_begun_before_another_counted_needs_a_proof_of_that_one(make_world) -> None:
    world = make_world(document=policy(delay=0))
    world.a_person("alice")
    registration, thief = world.recovery.registration, world.member("alice", "a stolen session")
    stolen = registration.begin(thief, "totp", now=world.now)
    bind_email(world, "alice")
    with pytest.raises(ProofRequired):
        registration.confirm(thief, stolen.id, app_code(seed_of(stolen), world.now), now=world.now)
