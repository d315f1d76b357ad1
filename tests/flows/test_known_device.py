"""Browsers that are known: strangers cannot use up their limits, and they prove nothing by themselves."""

import datetime as dt

import pytest

from flows.abuse.known_device import LONGEST_TOKEN, MOST_NAMES
from flows.errors import TooManyAttempts, WrongCode
from flows.typed_name import digest_of
from tests.flows.world import LIMITS, START, World, private

NEW = "correct horse battery"


def success(world: World, name: str = "bob", token: str = "", browser: str = "browser-a") -> str:
    """Reset a password, and return what the browser keeps afterwards."""
    attempt = world.proved(name, browser=browser)
    world.set_password(attempt, NEW, browser=browser)
    return remembered(world, name, token)


def remembered(world: World, name: str, token: str = "", typed: str = "") -> str:
    digests = [digest_of(world.vault, typed or name)]
    return world.recovery.devices.remember(token, digests, world.person_id(name), world.now)


def known(world: World, token: str, typed: str = "bob") -> bool:
    return world.recovery.devices.recognise(token, digest_of(world.vault, typed), world.now) is not None


def guess(world: World, times: int, typed: str = "bob", token: str = "", browser: str = "stranger") -> list:
    """Answer wrongly with an app code, again and again in fresh attempts; return what came of it."""
    seen = []
    for _ in range(times):
        attempt = world.start(typed, browser=browser, device=token)
        world.drain()
        try:
            world.send(attempt, "totp", browser=browser)
            world.verify(attempt, "000000", browser=browser)
        except (WrongCode, TooManyAttempts) as error:
            seen.append(error)
    return seen


@pytest.fixture
def bob(world: World) -> World:
    world.a_person("bob", registered=("email", "totp"))
    return world


def test_strangers_never_use_up_the_answers_of_a_known_device(bob: World) -> None:
    token = success(bob)
    assert isinstance(guess(bob, 6)[-1], TooManyAttempts)
    assert isinstance(guess(bob, 6, "bob@example.org", browser="other")[-1], TooManyAttempts)
    attempt = bob.start("bob", device=token)
    bob.drain()
    bob.send(attempt, "totp")
    bob.verify(attempt, bob.app_code("bob"))
    bob.set_password(attempt, NEW + " 2")


def test_strangers_never_use_up_the_codes_of_a_known_device(bob: World) -> None:
    token = success(bob)
    for number in range(8):
        attempt = bob.start(["bob", "bob@example.org"][number % 2], browser="stranger")
        bob.clock.forward(seconds=61)
        try:
            bob.send(attempt, browser="stranger")
        except TooManyAttempts:
            break
    bob.drain()
    before = len(bob.outbox.to(private("bob")))
    attempt = bob.start("bob", device=token)
    bob.send(attempt)
    bob.drain()
    assert len(bob.outbox.to(private("bob"))) == before + 1
    bob.verify(attempt, bob.code_for("bob"))


def test_a_known_device_has_as_many_wrong_answers_as_a_stranger_and_not_more(bob: World) -> None:
    token = success(bob)
    seen = guess(bob, 6, token=token)
    assert [type(each) for each in seen] == [WrongCode] * 5 + [TooManyAttempts]
    assert isinstance(guess(bob, 1, browser="stranger")[0], WrongCode)


def test_a_token_is_good_for_the_name_that_was_proved_and_no_other(bob: World) -> None:
    bob.a_person("carol", registered=("totp",))
    token = success(bob)
    assert known(bob, token)
    assert known(bob, token, " BOB ")
    assert not known(bob, token, "carol")
    assert not known(bob, token, "nobody")


def test_a_name_that_now_means_somebody_else_gets_no_more_than_a_stranger(bob: World) -> None:
    token = success(bob)
    bob.a_person("robert", registered=("email", "totp"), emails=("bob",))
    bob.directory.people.pop("bob")
    guess(bob, 5, browser="stranger")
    attempt = bob.start("bob", device=token)
    bob.drain()
    bob.send(attempt, "totp")
    assert bob.read(attempt).person_id == bob.person_id("robert")
    with pytest.raises(WrongCode):
        bob.verify(attempt, bob.app_code("robert"))


def test_this_was_not_me_voids_every_known_device(bob: World) -> None:
    token = success(bob)
    with bob.database.transaction() as transaction:
        transaction.people.freeze(bob.person_id("bob"), now=bob.now)
    assert not known(bob, token)
    assert remembered(bob, "bob", token) == ""
    with bob.database.transaction() as transaction:
        transaction.people.unfreeze(bob.person_id("bob"))
    assert not known(bob, token)


def test_a_later_success_elsewhere_voids_the_older_device(bob: World) -> None:
    token = success(bob)
    bob.clock.forward(minutes=2)
    newer = success(bob, browser="browser-b")
    assert not known(bob, token)
    assert known(bob, newer)


def test_a_device_is_forgotten_in_the_end(bob: World) -> None:
    token = success(bob)
    bob.clock.now = START + dt.timedelta(days=179)
    assert known(bob, token)
    bob.clock.now = START + dt.timedelta(days=181)
    assert not known(bob, token)


def test_a_shared_browser_knows_its_newest_names_under_one_id(bob: World) -> None:
    token, devices = "", bob.recovery.devices
    for number in range(MOST_NAMES + 1):
        token = remembered(bob, "bob", token, typed=f"bob{number}")
        assert len(token) < LONGEST_TOKEN
    found = [
        devices.recognise(token, digest_of(bob.vault, f"bob{n}"), bob.now) for n in range(MOST_NAMES + 1)
    ]
    assert found[0] is None
    assert len({each.id for each in found[1:] if each}) == 1


@pytest.mark.parametrize(
    "token",
    ["", "x", "é", "A" * 5000, "AQAAAAAA" * 20],
    ids=["empty", "short", "not-ascii", "too-long", "unsealed"],
)
def test_what_is_no_token_of_ours_makes_a_stranger(bob: World, token: str) -> None:
    assert not known(bob, token)


def test_one_altered_letter_makes_a_stranger(bob: World) -> None:
    token = success(bob)
    middle = len(token) // 2
    letter = "A" if token[middle] != "A" else "B"
    assert not known(bob, token[:middle] + letter + token[middle + 1 :])


def test_a_token_tells_nobody_whose_it_is(bob: World) -> None:
    token = success(bob)
    assert bob.person_id("bob") not in token
    assert "bob" not in token


def test_a_signed_in_person_makes_the_browser_known_under_every_name(bob: World) -> None:
    subject = bob.directory.people["bob"].subject
    token = bob.recovery.devices.remember_member("", subject, bob.now)
    assert known(bob, token)
    assert known(bob, token, "Bob@Example.org")
    assert bob.recovery.devices.remember_member(token, subject, bob.now) == ""
    bob.clock.forward(days=100)
    assert bob.recovery.devices.remember_member(token, subject, bob.now)


def test_a_signed_in_person_who_never_registered_leaves_no_trace(world: World) -> None:
    identity = world.directory.add("dora")
    assert world.recovery.devices.remember_member("", identity.subject, world.now) == ""


def test_no_device_is_known_where_that_is_switched_off(make_world) -> None:
    world = make_world(limits=LIMITS.model_copy(update={"known_device_days": 0}))
    world.a_person("bob", registered=("email",))
    assert success(world) == ""


def test_devices_made_known_again_and_again_give_no_guesses_without_end(bob: World) -> None:
    tokens = [remembered(bob, "bob") for _ in range(4)]
    for number, token in enumerate(tokens[:3]):
        assert len(guess(bob, 5, token=token, browser=f"thief-{number}")) == 5
    attempt = bob.start("bob", device=tokens[3])
    bob.drain()
    bob.send(attempt, "totp")
    with pytest.raises(WrongCode):
        bob.verify(attempt, bob.app_code("bob"))


def test_strangers_use_up_nothing_of_all_devices_together(bob: World) -> None:
    token = success(bob)
    for number in range(4):
        guess(bob, 6, ["bob", "bob@example.org"][number % 2], browser=f"stranger-{number}")
    attempt = bob.start("bob", device=token)
    bob.drain()
    bob.send(attempt, "totp")
    assert bob.verify(attempt, bob.app_code("bob")).proofs


def test_who_only_knows_the_password_earns_no_new_guesses_by_changing_it(bob: World) -> None:
    guess(bob, 5)
    change = bob.recovery.change
    begun = change.begin_signed_in(bob.member("bob"), browser="thief", now=bob.now)
    change.change(begun.id, "Old-Password-1", NEW, browser="thief", now=bob.now)
    attempt = bob.start("bob@example.org", browser="stranger")
    bob.drain()
    bob.send(attempt, "totp", browser="stranger")
    with pytest.raises(WrongCode):
        bob.verify(attempt, bob.app_code("bob"), browser="stranger")


def test_changes_that_are_begun_and_never_finished_have_an_end(make_world) -> None:
    world = make_world(limits=LIMITS.model_copy(update={"starts_per_minute": 1}))
    world.a_person("bob")
    member, change = world.member("bob"), world.recovery.change
    for _ in range(100):
        change.begin_signed_in(member, browser="browser-a", now=world.now)
    with pytest.raises(TooManyAttempts):
        change.begin_signed_in(member, browser="browser-a", now=world.now)
