import datetime as dt
import threading
from dataclasses import replace

import pytest

from enforcement.current_policy import adopt
from flows.abuse.known_device import KnownDevice
from flows.authenticators import totp
from flows.errors import (
    AttemptExpired,
    CodeExpired,
    NotPossible,
    OutcomeIsUnknown,
    PasswordNotWritten,
    TooManyAttempts,
    TooSoon,
    Unavailable,
    WeakPassword,
    WorkNotDone,
    WrongCode,
    WrongStage,
)
from flows.recovery.attempt import Stage
from flows.recovery.offered_kind import OfferedKind
from idp_plugin.base import Identity, WriterCapabilities
from idp_plugin.errors import (
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
)
from store.audit import AuditAction
from store.errors import StoreUnavailable
from tests.flows.world import World, policy, private, wrong

NEW = "correct horse battery"
OPENED = f'opened = ["helpdesk", "cn=operators"]\n{policy()}'


def test_a_forgotten_password_is_reset_by_a_mail_code(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    finished = world.set_password(attempt, NEW)
    assert world.directory.written == [("entry-bob", NEW)]
    assert (finished.sessions_left, finished.notices) == (0, 2)
    assert world.directory.ended == ["sub-bob"]
    assert world.read(attempt).stage is Stage.DONE


def test_a_reset_ends_the_providers_own_lock_too(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.directory.stopped.add("sub-bob")
    world.set_password(world.proved("bob"), NEW)
    assert world.directory.stopped == set()


def test_the_notice_reaches_directory_and_registered_addresses(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.set_password(world.proved("bob"), NEW)
    world.drain()
    told = [each.to for each in world.outbox.messages if "was changed" in each.subject]
    assert sorted(told) == ["bob.private@example.net", "bob@example.org"]


def test_start_answers_before_anything_is_looked_up(world: World) -> None:
    world.directory.down = True
    assert not world.start("bob").resolved


def test_work_is_asked_before_an_attempt(world: World) -> None:
    with pytest.raises(WorkNotDone):
        world.recovery.reset.start("bob", address="192.0.2.7", browser="a", work="", now=world.now)


def test_work_counts_for_one_attempt(world: World) -> None:
    work = world.work()
    start = world.recovery.reset.start
    start("bob", address="192.0.2.7", browser="a", work=work, now=world.now)
    with pytest.raises(WorkNotDone):
        start("bob", address="192.0.2.7", browser="a", work=work, now=world.now)


@pytest.mark.parametrize(
    "identifier",
    [
        "nobody",
        "",
        " ",
        "x" * 10_000,
        "bob\x00",
        "*",
        "bob)(uid=*",
        "cn=bob,dc=example",
        "\u202ebob",
        "\ud800",
    ],
)
def test_any_text_walks_the_same_pages_as_a_name(world: World, identifier: str) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.start(identifier)
    world.drain()
    attempt = world.send(attempt)
    world.drain()
    assert world.outbox.messages == []
    assert attempt.stage is Stage.PROVE
    with pytest.raises(WrongCode) as refused:
        world.verify(attempt, "123456")
    assert refused.value.attempts_left == 4


@pytest.mark.parametrize(
    "facts",
    [{"privileged": True}, {}],
    ids=["privileged", "unregistered"],
)
def test_whoever_may_not_reset_gets_a_decoy(world: World, facts: dict[str, bool]) -> None:
    world.a_person("erin", registered=("email",) if facts else (), **facts)
    attempt = world.start("erin")
    world.drain()
    assert world.read(attempt).is_decoy
    assert world.read(attempt).resolved


def test_a_rule_that_allows_no_reset_makes_decoys(make_world) -> None:
    document = policy(more="reset_allowed = false")
    world = make_world(document=document)
    world.a_person("bob", registered=("email",))
    attempt = world.start("bob")
    world.drain()
    assert world.read(attempt).is_decoy


def test_whoever_lacks_a_kind_for_a_second_gate_gets_a_decoy(make_world) -> None:
    world = make_world(document=policy(register=2, reset=2))
    world.a_person("bob", registered=("email",))
    attempt = world.start("bob")
    world.drain()
    assert world.read(attempt).is_decoy


def test_an_authenticator_that_is_not_trusted_yet_gets_no_code(world: World) -> None:
    identity = world.a_person("bob")
    with world.database.transaction() as transaction:
        person = transaction.people.by_subject(identity.subject.source, identity.subject.id)
        transaction.authenticators.add(
            person.id,
            "email",
            b"bob.private@example.net",
            now=world.now,
            trusted_from=world.now + dt.timedelta(hours=24),
            provenance="self",
        )
    world.send(world.start("bob"))
    world.drain()
    assert world.outbox.messages == []


def test_a_decoy_never_returns_even_for_the_code_that_was_made_for_it(world: World, monkeypatch) -> None:
    monkeypatch.setattr("flows.verification_code.new_code", lambda: "424242")
    attempt = world.send(world.start("nobody"))
    world.drain()
    with pytest.raises(WrongCode):
        world.verify(attempt, "424242")


def test_before_the_first_proof_everybody_is_offered_the_policys_kinds(world: World) -> None:
    world.a_person("bob", registered=("email",))
    known, unknown = world.start("bob"), world.start("nobody")
    world.drain()
    offers = [world.recovery.reset.offered(world.read(each), now=world.now) for each in (known, unknown)]
    assert offers[0] == offers[1] == tuple(map(OfferedKind, ("email", "totp", "recovery_codes")))


def test_before_the_first_proof_everybody_is_told_the_policys_most_gates(make_world) -> None:
    document = policy(register=2, reset=2).replace(
        "everyone = true", 'groups = ["guarded"]'
    ) + policy().replace('"Everybody"', '"Others"')
    world = make_world(document=document)
    world.a_person("bob", registered=("email",))
    attempt = world.start("bob")
    world.drain()
    assert world.read(attempt).gates == 2
    world.send(attempt)
    assert world.verify(attempt, world.code_for("bob")).stage is Stage.NEW_PASSWORD


def test_two_gates_ask_for_two_kinds(make_world) -> None:
    world = make_world(document=policy(register=2, reset=2))
    world.a_person("carol", registered=("email", "totp"))
    attempt = world.proved("carol")
    assert attempt.stage is Stage.CHOOSE
    assert world.recovery.reset.offered(attempt, now=world.now) == (OfferedKind("totp"),)
    with pytest.raises(WrongStage):
        world.send(attempt, "email")
    world.send(attempt, "totp")
    assert world.verify(attempt, world.app_code("carol")).stage is Stage.NEW_PASSWORD


def test_masks_appear_after_the_first_proof(make_world) -> None:
    world = make_world(document=policy(register=2, reset=2))
    world.a_person("carol", registered=("email", "totp"))
    attempt = world.start("carol")
    world.drain()
    world.send(attempt, "totp")
    attempt = world.verify(attempt, world.app_code("carol"))
    offered = world.recovery.reset.offered(attempt, now=world.now)
    assert offered == (OfferedKind("email", ("c•••@e•••.net",)),)


def test_a_newer_code_voids_the_older(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.start("bob")
    world.send(attempt)
    older = world.code_for("bob")
    world.clock.forward(seconds=61)
    world.send(attempt)
    newer = world.code_for("bob")
    with pytest.raises(WrongCode):
        world.verify(attempt, older)
    assert world.verify(attempt, newer).proofs


def test_a_code_is_good_for_five_minutes(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    world.clock.forward(minutes=5)
    with pytest.raises(CodeExpired):
        world.verify(attempt, code)


def test_a_code_of_one_attempt_proves_nothing_in_another(world: World) -> None:
    world.a_person("bob", registered=("email",))
    first, second = world.start("bob"), world.start("bob", browser="browser-b")
    world.send(first)
    code = world.code_for("bob")
    world.clock.forward(seconds=61)
    world.send(second, browser="browser-b")
    world.drain()
    with pytest.raises(WrongCode):
        world.verify(second, code, browser="browser-b")


def test_another_browser_cannot_even_see_the_attempt(world: World) -> None:
    attempt = world.start("bob")
    with pytest.raises(AttemptExpired):
        world.read(attempt, browser="browser-b")


def test_an_attempt_lives_fifteen_minutes(world: World) -> None:
    attempt = world.start("bob")
    world.clock.forward(minutes=15)
    with pytest.raises(AttemptExpired):
        world.read(attempt)


def test_a_code_pasted_with_spaces_counts(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    assert world.verify(attempt, f" {code[:3]} {code[3:]}\n").proofs


def test_five_wrong_answers_end_the_attempt(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongCode) as refused:
            world.verify(attempt, wrong(code))
        assert refused.value.attempts_left == left
    with pytest.raises(AttemptExpired):
        world.verify(attempt, code)


def test_wrong_answers_are_counted_by_typed_text_across_attempts(world: World) -> None:
    for guess in range(5):
        attempt = world.start("Bob ")
        world.clock.forward(seconds=61)
        world.send(attempt)
        with pytest.raises(WrongCode):
            world.verify(attempt, f"{guess:06}")
    with pytest.raises(TooManyAttempts) as refused:
        world.send(world.start("bob"), "totp")
    assert dt.timedelta(hours=23) < refused.value.retry_after <= dt.timedelta(hours=24)


def test_an_alias_shares_the_wrong_answers_silently(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    attempt = world.start("carol")
    world.drain()
    world.send(attempt, "totp")
    for guess in range(5):
        with pytest.raises(WrongCode):
            world.verify(attempt, f"{guess:06}")
    alias = world.start("carol@example.org")
    world.drain()
    world.send(alias, "totp")
    with pytest.raises(WrongCode) as refused:
        world.verify(alias, world.app_code("carol"))
    assert refused.value.attempts_left == 4


def test_right_answers_do_not_use_up_the_day(make_world) -> None:
    world = make_world(document=policy(register=2, reset=2))
    world.a_person("carol", registered=("email", "totp"))
    for _ in range(5):
        world.clock.forward(minutes=15)
        assert world.proved("carol").proofs
    world.clock.forward(minutes=15)
    assert world.proved("carol").proofs


def test_a_finished_reset_forgets_wrong_answers(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    for _ in range(4):
        with pytest.raises(WrongCode):
            world.verify(attempt, wrong(code))
    world.set_password(world.verify(attempt, code), NEW)
    world.clock.forward(minutes=2)
    again = world.send(world.start("bob"))
    with pytest.raises(WrongCode) as refused:
        world.verify(again, wrong(world.code_for("bob")))
    assert refused.value.attempts_left == 4


def test_sixty_seconds_lie_between_two_codes_for_one_name(world: World) -> None:
    world.send(world.start("bob"))
    with pytest.raises(TooSoon) as refused:
        world.send(world.start("BOB"))
    assert dt.timedelta(0) < refused.value.retry_after <= dt.timedelta(seconds=60)


def test_five_codes_an_hour_for_one_name(world: World) -> None:
    for _ in range(5):
        world.send(world.start("bob"))
        world.clock.forward(seconds=61)
    with pytest.raises(TooManyAttempts):
        world.send(world.start("bob"))


def test_at_most_five_codes_an_hour_reach_one_person_by_whatever_name(world: World) -> None:
    world.a_person("bob", registered=("email",))
    for name in ["bob", "bob@example.org"] * 5:
        world.clock.forward(seconds=61)
        world.send(world.start(name))
        world.drain()
    assert len(world.outbox.messages) == 5
    assert world.audited(AuditAction.RESET_LIMIT_REACHED)


def test_each_time_step_of_an_app_counts_once(make_world) -> None:
    world = make_world()
    world.a_person("carol", registered=("totp",))
    code = world.app_code("carol")
    for browser, expected in (("browser-a", None), ("browser-b", CodeExpired)):
        attempt = world.start("carol", browser=browser)
        world.drain()
        world.send(attempt, "totp", browser=browser)
        if expected is None:
            assert world.verify(attempt, code, browser=browser).proofs
        else:
            with pytest.raises(expected):
                world.verify(attempt, code, browser=browser)


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_an_app_may_be_one_step_off(world: World, steps: int, counts: bool) -> None:
    world.a_person("carol", registered=("totp",))
    attempt = world.start("carol")
    world.drain()
    world.send(attempt, "totp")
    if counts:
        assert world.verify(attempt, world.app_code("carol", steps=steps)).proofs
    else:
        with pytest.raises(WrongCode):
            world.verify(attempt, world.app_code("carol", steps=steps))


def test_an_app_code_is_too_early_for_every_name_alike_until_five_seconds_passed(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    for name in ("carol", "nobody"):
        for looked_up in (False, True):
            attempt = world.send(world.start(name), "totp", hurry=True)
            if looked_up:
                world.drain()
            with pytest.raises(Unavailable):
                world.verify(attempt, world.app_code("carol"))
            assert world.read(attempt).wrong_answers == 0


def test_an_app_code_counts_once_five_seconds_passed(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    attempt = world.send(world.start("carol"), "totp", hurry=True)
    world.drain()
    world.clock.forward(seconds=4.9)
    with pytest.raises(Unavailable):
        world.verify(attempt, world.app_code("carol"))
    world.clock.forward(seconds=0.1)
    assert world.verify(attempt, world.app_code("carol")).proofs


def test_who_is_not_looked_up_after_five_seconds_answers_like_a_decoy(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    for name in ("carol", "nobody"):
        attempt = world.send(world.start(name), "totp", hurry=True)
        world.clock.forward(seconds=5)
        with pytest.raises(WrongCode):
            world.verify(attempt, world.app_code("carol"))
        assert world.read(attempt).wrong_answers == 1


@pytest.mark.parametrize("how", ["gone", "too old", "answered wrongly too often"])
def test_a_look_up_is_dropped_once_its_attempt_is_gone_or_over(world: World, how: str) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.start("bob")
    match how:
        case "gone":
            world.expiring.drop("attempt", attempt.id)
        case "too old":
            world.clock.forward(minutes=world.limits.attempt_minutes)
        case _:
            world.send(attempt, "totp", hurry=True)
            world.clock.forward(seconds=5)
            for _ in range(attempt.answers_allowed):
                with pytest.raises(WrongCode):
                    world.verify(attempt, "000000")
    world.directory.down = True
    world.drain()
    assert world.jobs.pending() == 0


def test_a_name_is_looked_up_once_however_soon_a_code_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.a_person("bob", registered=("email",))
    look, asked = world.directory.find, []
    other_worker = threading.Thread(target=world.jobs.drain)

    def find(identifier: str) -> Identity | None:
        asked.append(identifier)
        if len(asked) == 1:
            # The code's turn on the queue comes while the name is being looked up.
            other_worker.start()
            other_worker.join(0.3)
        return look(identifier)

    monkeypatch.setattr(world.directory, "find", find)
    world.send(world.start("bob"))
    world.drain()
    other_worker.join(10)
    assert asked == ["bob"]
    assert len(world.outbox.to(private("bob"))) == 1


def test_a_disabled_account_is_told_after_the_first_proof(world: World) -> None:
    world.a_person("bob", registered=("email",), enabled=False)
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    with pytest.raises(NotPossible) as refused:
        world.verify(attempt, code)
    assert refused.value.why == "disabled"
    assert world.read(attempt).stage is Stage.OVER


def test_who_got_a_role_here_meanwhile_is_not_written(make_world) -> None:
    world = make_world(privileged_groups=frozenset({"helpdesk"}))
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.change("bob", groups=frozenset({"helpdesk"}))
    with pytest.raises(NotPossible) as refused:
        world.set_password(attempt, NEW)
    assert refused.value.why == "privileged"
    assert world.directory.written == []


def test_a_role_counts_like_a_group(make_world) -> None:
    world = make_world(privileged_groups=frozenset({"operator"}))
    world.a_person("bob", registered=("email",), roles=frozenset({"operator"}))
    world.send(world.start("bob"))
    world.drain()
    assert world.outbox.messages == []


def an_opened_world(make_world, **settings: object) -> World:
    """One where the helpdesk's people may recover, with two ways to prove it."""
    helpdesk = frozenset({"helpdesk"})
    facts = {"privileged_groups": helpdesk, "opened_groups": helpdesk, "document": OPENED}
    world = make_world(**{**facts, **settings})
    world.a_person("bob", registered=("email", "totp"), groups=helpdesk)
    return world


def test_opened_power_asks_for_two_proofs_whatever_the_rule_says(make_world) -> None:
    world = an_opened_world(make_world)
    attempt = world.proved("bob")
    assert world.read(attempt).stage is Stage.CHOOSE
    world.send(attempt, "totp")
    world.verify(attempt, world.app_code("bob"))
    world.set_password(attempt, NEW)
    assert len(world.directory.written) == 1


def test_power_of_which_a_part_is_not_opened_stays_closed(make_world) -> None:
    world = an_opened_world(make_world)
    world.directory.change("bob", privileged=True)
    attempt = world.send(world.start("bob"))
    world.drain()
    assert world.outbox.messages == []
    assert world.read(attempt).is_decoy


def test_power_that_the_directory_opened_counts_as_opened(make_world) -> None:
    world = an_opened_world(make_world, opened_in_directories=frozenset({"CN=Operators"}))
    world.directory.change("bob", privileged=True, opened=True)
    assert not world.read(world.proved("bob")).is_decoy


@pytest.mark.parametrize(
    ("document", "in_directories", "privileged"),
    [
        pytest.param(policy(), (), False, id="here"),
        pytest.param(OPENED, ("cn=operators", "cn=administrators"), True, id="one-of-two-in-a-directory"),
        pytest.param(OPENED, (), True, id="nothing-in-a-directory"),
    ],
)
def test_what_the_settings_open_and_the_policy_does_not_stays_closed(
    make_world, document: str, in_directories: tuple[str, ...], *, privileged: bool
) -> None:
    world = an_opened_world(make_world, document=document, opened_in_directories=frozenset(in_directories))
    world.directory.change("bob", privileged=privileged, opened=True)
    attempt = world.send(world.start("bob"))
    world.drain()
    assert world.outbox.messages == []
    assert world.read(attempt).is_decoy


def test_power_that_the_policy_closes_meanwhile_is_not_written_to(make_world) -> None:
    world = an_opened_world(make_world)
    attempt = world.proved("bob")
    world.send(attempt, "totp")
    world.verify(attempt, world.app_code("bob"))
    adopt(world.database, policy(), author="test", now=world.now)
    world.gate._policies._read_at = float("-inf")
    with pytest.raises(NotPossible) as refused:
        world.set_password(attempt, NEW)
    assert refused.value.why == "privileged"
    assert world.directory.written == []


def test_who_comes_to_opened_power_meanwhile_has_to_prove_more(make_world) -> None:
    helpdesk = frozenset({"helpdesk"})
    world = make_world(privileged_groups=helpdesk, opened_groups=helpdesk, document=OPENED)
    world.a_person("bob", registered=("email", "totp"))
    attempt = world.proved("bob")
    world.directory.change("bob", groups=helpdesk)
    with pytest.raises(WrongStage):
        world.set_password(attempt, NEW)
    assert world.directory.written == []


def test_too_young_a_password_is_told_after_the_first_proof(world: World) -> None:
    later = world.now + dt.timedelta(hours=1)
    world.a_person("bob", registered=("email",), may_change_password_after=later)
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    with pytest.raises(NotPossible) as refused:
        world.verify(attempt, code)
    assert refused.value.why == "too_young"


def test_no_password_without_a_proof(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    with pytest.raises(WrongStage):
        world.set_password(attempt, NEW)
    assert world.directory.written == []


@pytest.mark.parametrize(
    ("candidate", "rule"),
    [
        ("short12", "length_min"),
        ("x" * 257, "length_max"),
        ("BobBaker", "not_name"),
        ("bob@example.org", "not_name"),
        ("tab\tin the middle", "characters"),
    ],
)
def test_our_own_rules_refuse_before_the_directory_is_asked(world: World, candidate: str, rule: str) -> None:
    world.a_person("bobbaker", registered=("email",), emails=("bob@example.org",))
    attempt = world.proved("bobbaker")
    with pytest.raises(WeakPassword) as refused:
        world.set_password(attempt, candidate)
    assert [finding.rule for finding in refused.value.findings] == [rule]
    assert world.directory.written == []


def test_the_directorys_minimum_length_counts(world: World) -> None:
    world.directory.can = WriterCapabilities(minimum_length=14)
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    findings = {each.rule: each for each in world.recovery.reset.findings(attempt, "thirteen char")}
    assert findings["length_min"].holds is False
    assert findings["length_min"].parameters == {"count": 14}


def test_findings_are_told_only_to_whoever_proved(world: World) -> None:
    attempt = world.start("bob")
    with pytest.raises(WrongStage):
        world.recovery.reset.findings(attempt, "anything")


def test_a_password_that_the_directory_refuses_may_be_chosen_again(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.refuse = PasswordRefused((RefusalReason.IN_HISTORY,))
    with pytest.raises(WeakPassword) as refused:
        world.set_password(attempt, NEW)
    assert [finding.rule for finding in refused.value.findings] == ["directory_in_history"]
    world.directory.refuse = None
    world.set_password(attempt, NEW)
    assert world.directory.written == [("entry-bob", NEW)]


@pytest.mark.parametrize(
    ("reason", "why"),
    [(RefusalReason.TOO_YOUNG, "too_young"), (RefusalReason.CHANGE_NOT_ALLOWED, "cannot_change")],
)
def test_what_no_other_password_would_mend_ends_the_attempt(
    world: World, reason: RefusalReason, why: str
) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.refuse = PasswordRefused((reason,))
    with pytest.raises(NotPossible) as refused:
        world.set_password(attempt, NEW)
    assert refused.value.why == why
    assert world.read(attempt).stage is Stage.OVER


@pytest.mark.parametrize(
    ("error", "expected", "stage"),
    [
        (IdpUnavailable("ldap"), Unavailable, Stage.NEW_PASSWORD),
        (IdpMisconfigured("bind"), PasswordNotWritten, Stage.NEW_PASSWORD),
        (NotPermitted("write answered 50"), PasswordNotWritten, Stage.NEW_PASSWORD),
        (NotPermitted("privileged"), NotPossible, Stage.OVER),
        (NotPermitted("missing"), NotPossible, Stage.OVER),
        (OutcomeUnknown("ldap"), OutcomeIsUnknown, Stage.OVER),
    ],
)
def test_every_fault_of_the_writer_has_its_answer(world: World, error, expected, stage) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.refuse = error
    with pytest.raises(expected):
        world.set_password(attempt, NEW)
    assert world.read(attempt).stage is stage


def test_an_unknown_outcome_ends_sessions_and_is_told(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.refuse = OutcomeUnknown("ldap")
    with pytest.raises(OutcomeIsUnknown):
        world.set_password(attempt, NEW)
    world.drain()
    assert world.directory.ended == ["sub-bob"]
    assert "may have been set" in world.outbox.to("bob@example.org")[-1].text


@pytest.mark.parametrize("fault", [IdpUnavailable("keycloak"), None])
def test_sessions_that_remain_never_hide_the_success(world: World, fault) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.refuse_sessions = fault
    world.directory.remaining = 2
    finished = world.set_password(attempt, NEW)
    assert finished.sessions_left == (None if fault else 2)
    assert world.read(attempt).stage is Stage.DONE
    world.directory.refuse_sessions = None
    world.directory.ended.clear()
    world.drain_later()
    assert world.directory.ended == ["sub-bob"]


def test_sessions_are_ended_again_when_the_old_password_has_died(world: World) -> None:
    world.directory.can = WriterCapabilities(old_password_lives=dt.timedelta(hours=1))
    world.a_person("bob", registered=("email",))
    world.set_password(world.proved("bob"), NEW)
    world.drain()
    assert len(world.directory.ended) == 1
    world.drain_later()
    assert len(world.directory.ended) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [({"enabled": False}, "disabled"), ({"privileged": True}, "privileged")],
)
def test_the_claim_reads_the_account_again(world: World, change: dict[str, bool], why: str) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.change("bob", **change)
    with pytest.raises(NotPossible) as refused:
        world.set_password(attempt, NEW)
    assert refused.value.why == why
    assert world.directory.written == []


def test_a_name_made_anew_inherits_no_attempt(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    again = world.directory.people["bob"]
    world.directory.change("bob", account=type(again.account)("people", "entry-other"))
    with pytest.raises(NotPossible):
        world.set_password(attempt, NEW)
    assert world.directory.written == []


def test_a_removed_authenticator_takes_its_proof_along(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    with world.database.transaction() as transaction:
        transaction.authenticators.remove(world.authenticators("bob")[0].id)
    with pytest.raises(AttemptExpired):
        world.set_password(attempt, NEW)
    assert world.directory.written == []


def test_a_policy_that_became_stricter_asks_for_one_more_proof(world: World) -> None:
    world.a_person("carol", registered=("email", "totp"))
    attempt = world.proved("carol")
    adopt(world.database, policy(register=2, reset=2), author="test", now=world.now)
    world.gate._policies._read_at = float("-inf")
    with pytest.raises(WrongStage):
        world.set_password(attempt, NEW)
    assert world.directory.written == []
    attempt = world.send(attempt, "totp")
    attempt = world.verify(attempt, world.app_code("carol"))
    world.set_password(attempt, NEW)
    assert world.directory.written == [("entry-carol", NEW)]


def test_a_finished_change_voids_every_other_attempt(world: World) -> None:
    world.a_person("carol", registered=("email", "totp"))
    other = world.start("carol@example.org", browser="browser-b")
    world.drain()
    world.send(other, "totp", browser="browser-b")
    other = world.verify(other, world.app_code("carol"), browser="browser-b")
    world.set_password(world.proved("carol"), NEW)
    with pytest.raises(AttemptExpired):
        world.set_password(other, "another good password", browser="browser-b")
    assert len(world.directory.written) == 1


def test_one_attempt_writes_once(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.set_password(attempt, NEW)
    with pytest.raises(WrongStage):
        world.set_password(attempt, "another good password")
    assert len(world.directory.written) == 1


def test_a_fault_before_the_write_gives_the_attempt_back(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.down = True
    with pytest.raises(Unavailable):
        world.set_password(attempt, NEW)
    world.directory.down = False
    assert world.set_password(attempt, NEW).sessions_left == 0


def test_a_directory_that_comes_back_still_delivers(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.directory.down = True
    world.send(world.start("bob"))
    world.drain()
    assert world.outbox.messages == []
    world.directory.down = False
    world.drain_later()
    assert len(world.outbox.to(private("bob"))) == 1


def test_frozen_recovery_proves_nothing(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    with world.database.transaction() as transaction:
        transaction.people.freeze(world.person_id("bob"), now=world.now)
    with pytest.raises(WrongCode):
        world.verify(attempt, code)


def test_findings_ask_the_directory_once_and_not_with_every_key(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.directory.down = True
    world.directory.can = WriterCapabilities(minimum_length=99)
    findings = {each.rule: each for each in world.recovery.reset.findings(attempt, "something")}
    assert findings["length_min"].parameters == {"count": 8}


def test_whatever_breaks_after_the_write_the_password_is_written(world: World, monkeypatch) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")

    def broken(*_: object) -> int:
        raise RuntimeError

    monkeypatch.setattr(world.directory, "end_all", broken)
    monkeypatch.setattr(world.jobs, "enqueue", broken)
    finished = world.set_password(attempt, NEW)
    assert (finished.sessions_left, finished.notices) == (None, 0)
    assert world.read(attempt).stage is Stage.DONE


def test_a_database_that_is_down_at_the_claim_gives_the_attempt_back(world: World, monkeypatch) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    with monkeypatch.context() as patched:
        patched.setattr("store.spent.Spent.spend", _no_database)
        with pytest.raises(Unavailable):
            world.set_password(attempt, NEW)
    assert world.set_password(attempt, NEW).sessions_left == 0
    assert len(world.directory.written) == 1


def _no_database(*_: object, **__: object) -> bool:
    raise StoreUnavailable("database")


def test_the_audit_tells_the_story_under_one_reference(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    world.set_password(attempt, NEW)
    world.drain()
    with world.database.reading() as transaction:
        told = [event.action for event in transaction.audit.find(reference=attempt.reference)]
    assert sorted(told) == sorted(
        [
            AuditAction.RESET_ATTEMPT_STARTED,
            AuditAction.RESET_CODE_SENT,
            AuditAction.RESET_PROOF_GIVEN,
            AuditAction.RESET_PASSWORD_WRITTEN,
            AuditAction.RESET_SESSIONS_ENDED,
            *[AuditAction.NOTICE_QUEUED] * 3,
            AuditAction.NOTICE_SENT,
            AuditAction.NOTICE_SENT,
        ]
    )


def test_a_rule_may_leave_the_person_untold(make_world) -> None:
    world = make_world(document=policy(more="notify_person = false"))
    world.a_person("bob", registered=("email",))
    assert world.set_password(world.proved("bob"), NEW).notices == 0


def test_a_code_that_was_never_sent_proves_nothing(world: World, monkeypatch) -> None:
    world.a_person("bob", registered=("email",))
    for _ in range(5):
        world.clock.forward(seconds=61)
        world.send(world.start("bob"))
        world.drain()
    monkeypatch.setattr("flows.verification_code.new_code", lambda: "424242")
    attempt = world.send(world.start("bob@example.org"))
    world.drain()
    assert len(world.outbox.messages) == 5
    with pytest.raises(WrongCode):
        world.verify(attempt, "424242")


def in_the_middle_of_verify(world: World, monkeypatch, function) -> None:
    """Let something else happen once, after an answer was taken and before it is looked at."""
    throttle = world.recovery.reset._throttle
    counted = throttle.answer

    def answer(who: str, now: dt.datetime) -> int:
        monkeypatch.setattr(throttle, "answer", counted)
        function()
        return counted(who, now)

    monkeypatch.setattr(throttle, "answer", answer)


def test_a_right_answer_to_a_question_that_was_just_replaced_proves_nothing(
    world: World, monkeypatch
) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")

    def ask_again() -> None:
        world.clock.forward(seconds=61)
        world.send(attempt)

    in_the_middle_of_verify(world, monkeypatch, ask_again)
    with pytest.raises(CodeExpired):
        world.verify(attempt, code)
    assert world.read(attempt).proofs == ()


def test_a_wrong_answer_to_a_question_that_was_just_answered_does_not_count(
    world: World, monkeypatch
) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    in_the_middle_of_verify(world, monkeypatch, lambda: world.verify(attempt, code))
    with pytest.raises(CodeExpired):
        world.verify(attempt, wrong(code))
    assert world.read(attempt).wrong_answers == 0
    assert len(world.read(attempt).proofs) == 1


def test_an_app_that_is_not_trusted_yet_proves_nothing_beside_an_address_that_is(world: World) -> None:
    world.a_person("carol", registered=("email",))
    world.seeds["carol"] = seed = totp.new_seed()
    with world.database.transaction() as transaction:
        transaction.authenticators.add(
            world.person_id("carol"),
            "totp",
            seed,
            now=world.now,
            trusted_from=world.now + dt.timedelta(hours=24),
            provenance="self",
        )
    attempt = world.start("carol")
    world.drain()
    world.send(attempt, "totp")
    with pytest.raises(WrongCode):
        world.verify(attempt, world.app_code("carol"))


def test_a_code_sent_before_another_change_was_finished_proves_nothing(world: World) -> None:
    world.a_person("carol", registered=("email", "totp"))
    older = world.send(world.start("carol@example.org", browser="browser-b"), browser="browser-b")
    code = world.code_for("carol")
    newer = world.start("carol")
    world.drain()
    world.send(newer, "totp")
    world.set_password(world.verify(newer, world.app_code("carol")), NEW)
    with pytest.raises(WrongCode):
        world.verify(older, code, browser="browser-b")


def test_a_kind_that_only_another_rule_lists_proves_nothing(make_world) -> None:
    staff = """\
[[rules]]
name = "Staff"
kinds = ["totp"]
who = { groups = ["staff"] }
"""
    world = make_world(document=staff + policy())
    world.a_person("bob", registered=("email", "totp"), groups=frozenset({"staff"}))
    attempt = world.send(world.start("bob"))
    world.drain()
    assert world.outbox.to(private("bob")) == []
    world.send(attempt, "totp")
    assert world.verify(attempt, world.app_code("bob")).stage is Stage.NEW_PASSWORD


def test_what_a_known_device_may_do_more_stays_with_it_when_an_attempt_moves(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.start("bob")
    known = replace(
        attempt, device=KnownDevice("device", world.person_id("bob")), person_id=world.person_id("bob")
    )
    moved = known.moved_to("elsewhere")
    assert known.is_on_known_device
    assert not moved.is_on_known_device
    assert (moved.counted_as, moved.counted_besides) == (attempt.typed, "")


def test_an_attempt_may_move_back_to_where_it_was_begun(world: World) -> None:
    attempt = world.start("bob")
    assert attempt.moved_to("elsewhere").moved_to(attempt.browser).moved_from == ("elsewhere",)
