"""Phones in the journeys: who may bind which number, what it proves, and until when."""

import re
from typing import Any

import pytest

from flows.errors import AttemptExpired, Unavailable, UnusableNumber, WrongCode
from flows.messaging.message import Message
from store.audit import AuditAction
from tests.flows.world import World, policy

MOBILE = "+31612345678"
DESK = "+14255551234;ext=5678"
KINDS = 'kinds = ["email", "mobile_phone", "office_phone"]'
DOCUMENT = policy(delay=0, more=KINDS)
WRONG = "000000"


def sent(world: World, to: str) -> Message:
    world.drain()
    return world.outbox.to(to)[-1]


def text_code(world: World, to: str = MOBILE) -> str:
    found = re.match(r"(\d{6}) ", sent(world, to).text)
    assert found
    return found[1]


def call_code(world: World, to: str) -> str:
    message = sent(world, to)
    assert message.channel == "voice"
    return "".join(re.findall(r"\d", message.text.split("\n\n")[1]))[:6]


def bind(world: World, username: str, typed: str = MOBILE, kind: str = "mobile_phone") -> Any:
    member = world.member(username)
    pending = world.recovery.registration.begin(member, kind, typed, now=world.now)
    code = text_code(world, typed) if pending.way == "sms" else call_code(world, typed)
    bound = world.recovery.registration.confirm(member, pending.id, code, now=world.now)
    world.drain()
    world.clock.forward(minutes=2)
    return bound


def send(world: World, attempt: Any, number: str, *, kind: str = "mobile_phone", way: str = "") -> Any:
    changed = world.journey(attempt.purpose).send(
        attempt.id, kind, browser="browser-a", address="192.0.2.7", now=world.now, way=way, destination=number
    )
    world.drain()
    return changed


@pytest.fixture
def phones(make_world: Any) -> World:
    """A policy with phones; Jane's mobile and desk are known to the directory."""
    world: World = make_world(document=DOCUMENT)
    world.a_person("jane", phones=(MOBILE, DESK), trusted_phones=("+1 425 555 1234 x5678", "reception"))
    return world


def test_a_mobile_is_bound_by_a_code_and_shown_masked(phones: World) -> None:
    bound = bind(phones, "jane")
    assert (bound.kind, bound.masked) == ("mobile_phone", "+31 •••••• 78")


@pytest.mark.parametrize("way", ["sms", "voice"])
def test_a_mobile_resets_a_password_by_either_way(phones: World, way: str) -> None:
    bind(phones, "jane")
    attempt = phones.start("jane")
    send(phones, attempt, "0031 6 1234 5678" if not way else MOBILE, way=way)
    assert sent(phones, MOBILE).channel == way
    code = text_code(phones) if way == "sms" else call_code(phones, MOBILE)
    phones.verify(attempt, code)
    phones.set_password(attempt, "four words not together")
    assert phones.directory.written


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "+31612345679",
        "+3161234567",
        "nonsense",
        pytest.param("x" * 10_000, id="long"),
        DESK,
        "+31612345678x1",
    ],
)
def test_nothing_is_sent_for_any_number_but_the_persons_own(phones: World, typed: str) -> None:
    bind(phones, "jane")
    before = len(phones.outbox.messages)
    attempt = phones.start("jane")
    send(phones, attempt, typed)
    assert len(phones.outbox.messages) == before


def test_no_answer_tells_whose_number_it_is(phones: World) -> None:
    bind(phones, "jane")
    seen = []
    for name, number in (("jane", MOBILE), ("jane", "+31612345679"), ("nobody", MOBILE)):
        attempt = phones.start(name, browser="browser-a")
        changed = send(phones, attempt, number)
        with pytest.raises(WrongCode) as wrong:
            phones.verify(attempt, WRONG)
        read = phones.read(attempt)
        seen.append((changed.stage, changed.challenge.way, wrong.value.attempts_left, read.kinds, read.gates))
        phones.clock.forward(hours=25)
    assert len(set(seen)) == 1


def test_a_code_that_was_never_sent_proves_nothing(phones: World) -> None:
    """Even the right digits, for a number that did not match."""
    bind(phones, "jane")
    attempt = phones.start("jane")
    send(phones, attempt, MOBILE)
    right = text_code(phones)
    phones.clock.forward(seconds=61)
    send(phones, attempt, "+31612345679")
    with pytest.raises(WrongCode):
        phones.verify(attempt, right)


def test_only_so_many_people_share_a_number(make_world: Any) -> None:
    world: World = make_world(document=policy(delay=0, more=f"people_per_address = 2\n{KINDS}"))
    for name in ("ann", "ben", "cem"):
        world.a_person(name)
    bind(world, "ann")
    bind(world, "ben")
    with pytest.raises(UnusableNumber) as refused:
        world.recovery.registration.begin(world.member("cem"), "mobile_phone", "0031612345678", now=world.now)
    assert refused.value.why == "no_country"
    with pytest.raises(UnusableNumber) as refused:
        world.recovery.registration.begin(
            world.member("cem"), "mobile_phone", "+31 6 12345678", now=world.now
        )
    assert refused.value.why == "shared"
    assert [each.detail["why"] for each in world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_REFUSED)] == [
        "shared",
        "no_country",
    ]


def test_one_number_is_registered_once(phones: World) -> None:
    bind(phones, "jane")
    with pytest.raises(UnusableNumber) as refused:
        phones.recovery.registration.begin(
            phones.member("jane"), "mobile_phone", "+31 6 12345678", now=phones.now
        )
    assert refused.value.why == "registered"


def test_an_office_phone_is_never_typed_freely(phones: World) -> None:
    registration, member = phones.recovery.registration, phones.member("jane")
    assert registration.suggestions(member, "office_phone") == (DESK,)
    for typed in ("+14255551234", "+14255551235;ext=5678", MOBILE, "", "reception"):
        with pytest.raises(UnusableNumber) as refused:
            registration.begin(member, "office_phone", typed, now=phones.now)
        assert refused.value.why == "not_in_directory"


def test_an_attribute_that_people_can_write_gives_no_office_phone(phones: World) -> None:
    phones.directory.change("jane", trusted_phones=())
    assert phones.recovery.registration.suggestions(phones.member("jane"), "office_phone") == ()
    with pytest.raises(UnusableNumber):
        phones.recovery.registration.begin(phones.member("jane"), "office_phone", DESK, now=phones.now)


@pytest.mark.parametrize("typed", ["+1 425 555 1234", "+1 425 555 1234 x5678"])
def test_an_office_phone_is_called_whether_or_not_its_extension_is_typed(phones: World, typed: str) -> None:
    bind(phones, "jane", DESK, "office_phone")
    attempt = phones.start("jane")
    send(phones, attempt, typed, kind="office_phone")
    phones.verify(attempt, call_code(phones, DESK))


def test_an_office_phone_of_somebody_else_now_proves_nothing(phones: World) -> None:
    bind(phones, "jane", DESK, "office_phone")
    phones.directory.change("jane", trusted_phones=("+1 425 555 9999",))
    before = len(phones.outbox.messages)
    attempt = phones.start("jane")
    send(phones, attempt, DESK, kind="office_phone")
    assert len(phones.outbox.messages) == before


def test_an_office_phone_that_moved_during_the_reset_does_not_write(phones: World) -> None:
    bind(phones, "jane", DESK, "office_phone")
    attempt = phones.start("jane")
    send(phones, attempt, DESK, kind="office_phone")
    code = call_code(phones, DESK)
    phones.directory.change("jane", trusted_phones=())
    with pytest.raises(AttemptExpired):
        phones.verify(attempt, code)
    assert not phones.directory.written


def test_an_office_phone_of_somebody_else_allows_no_change(phones: World) -> None:
    bound = bind(phones, "jane", DESK, "office_phone")
    registration, member = phones.recovery.registration, phones.member("jane", session="another")
    phones.directory.down = True
    with pytest.raises(Unavailable):
        registration.prove_begin(member, bound.id, now=phones.now)
    phones.directory.down = False
    phones.directory.change("jane", trusted_phones=())
    with pytest.raises(AttemptExpired):
        registration.prove_begin(member, bound.id, now=phones.now)


def test_a_step_up_goes_by_the_way_that_was_chosen(phones: World) -> None:
    bound = bind(phones, "jane")
    registration, member = phones.recovery.registration, phones.member("jane", session="another")
    for way, code in (("voice", call_code), ("sms", text_code)):
        pending = registration.prove_begin(member, bound.id, way=way, now=phones.now)
        assert pending.way == way
        registration.prove_confirm(member, pending.id, code(phones, MOBILE), now=phones.now)
        phones.clock.forward(minutes=2)


def test_an_office_phone_is_called_whatever_is_asked_for(make_world: Any) -> None:
    world: World = make_world(document=DOCUMENT)
    world.a_person("jane", trusted_phones=("+1 425 555 1234",))
    pending = world.recovery.registration.begin(
        world.member("jane"), "office_phone", "+14255551234", way="sms", now=world.now
    )
    assert pending.way == "voice"
