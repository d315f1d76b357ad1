"""Passkeys: whose, made for what, and used once."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from flows.authenticators.passkey import clean_name
from flows.errors import ProofRequired, WrongCode
from store.audit import AuditAction
from tests.flows.conftest import OpenWorld
from tests.flows.world import World, policy
from tests.servers.security_key import SecurityKey

HOST = "sso.example.org"
ORIGIN = f"https://{HOST}"
KINDS = 'kinds = ["email", "passkey"]'


@pytest.fixture
def world(make_world: OpenWorld) -> World:
    return make_world(document=policy(delay=0, more=KINDS))


@dataclass
class Owner:
    """Somebody signed in, with a security key."""

    world: World
    username: str
    key: SecurityKey

    def options(self, pending: Any) -> str:
        return str(pending.shown.options)

    def begin(self) -> Any:
        return self.world.recovery.registration.begin(
            self.world.member(self.username), "passkey", now=self.world.now
        )

    def confirm(self, pending: Any, made: dict[str, Any], name: str = "Blue key") -> Any:
        answer = json.dumps({"credential": made, "name": name})
        return self.world.recovery.registration.confirm(
            self.world.member(self.username), pending.id, answer, now=self.world.now
        )

    def register(self) -> Any:
        pending = self.begin()
        return self.confirm(pending, self.key.make(self.options(pending)))


def an_owner(world: World, username: str = "jane", *, registered: tuple[str, ...] = ()) -> Owner:
    world.a_person(username, registered=registered)
    return Owner(world, username, SecurityKey(ORIGIN, HOST))


def after_mail(world: World, owner: Owner) -> tuple[Any, str]:
    """An attempt with the mail code proved and the passkey asked for."""
    attempt = world.proved(owner.username)
    asked = world.send(attempt, "passkey")
    return attempt, asked.challenge.asked


@pytest.fixture
def owner(world: World) -> Owner:
    """Jane, with an address and a passkey; both are asked for in a reset."""
    owner = an_owner(world)
    owner.register()
    return owner


@pytest.fixture
def two_gates(make_world: OpenWorld) -> World:
    return make_world(document=policy(register=2, reset=2, delay=0, more=KINDS))


@pytest.fixture
def careful(two_gates: World) -> Owner:
    owner = an_owner(two_gates)
    owner.register()
    with two_gates.database.transaction() as transaction:
        two_gates._register(transaction, two_gates.person_id("jane"), "jane", "email")
    return owner


def test_what_is_made_asks_for_the_exact_host_a_check_of_the_holder_and_no_place_in_a_list(
    world: World,
) -> None:
    options = [
        json.loads(owner.options(owner.begin())) for owner in (an_owner(world), an_owner(world, "joe"))
    ]
    assert {each["rp"]["id"] for each in options} == {HOST}
    assert options[0]["authenticatorSelection"]["residentKey"] == "discouraged"
    assert options[0]["authenticatorSelection"]["userVerification"] == "required"
    assert options[0]["attestation"] == "none"


def test_every_binding_has_a_user_handle_of_its_own(world: World) -> None:
    owner = an_owner(world)
    handles = {json.loads(owner.options(owner.begin()))["user"]["id"] for _time in range(3)}
    assert len(handles) == 3


def test_a_passkey_is_shown_by_its_name(owner: Owner) -> None:
    status = owner.world.recovery.registration.status(owner.world.member("jane"), now=owner.world.now)
    assert [(each.kind, each.masked) for each in status.authenticators] == [("passkey", "Blue key")]


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.example.org"},
        {"origin": f"https://{HOST}.evil.example"},
        {"host": "example.org"},
        {"verifies": False},
    ],
    ids=str,
)
def test_a_lying_device_is_not_bound(world: World, lie: dict[str, Any]) -> None:
    owner = an_owner(world)
    pending = owner.begin()
    with pytest.raises(WrongCode):
        owner.confirm(pending, replace(owner.key, **lie).make(owner.options(pending)))
    assert world.authenticators("jane") == ()


def test_what_was_made_for_another_challenge_is_not_bound(world: World) -> None:
    owner = an_owner(world)
    made = owner.key.make(owner.options(owner.begin()))
    with pytest.raises(WrongCode):
        owner.confirm(owner.begin(), made)


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", '"x"', "[" * 9000, '{"credential": {"id": 1}}'])
def test_nonsense_is_a_wrong_answer(world: World, answer: str) -> None:
    owner = an_owner(world)
    pending = owner.begin()
    with pytest.raises(WrongCode):
        world.recovery.registration.confirm(world.member("jane"), pending.id, answer, now=world.now)


def test_a_second_passkey_asks_for_a_proof_of_the_first(owner: Owner) -> None:
    with pytest.raises(ProofRequired):
        Owner(owner.world, "jane", SecurityKey(ORIGIN, HOST)).world.recovery.registration.begin(
            owner.world.member("jane", "another-session"), "passkey", now=owner.world.now
        )


def test_a_passkey_proves_its_holder_before_changes(owner: Owner) -> None:
    world, member = owner.world, owner.world.member("jane", "another-session")
    registration = world.recovery.registration
    (mine,) = world.authenticators("jane")
    pending = registration.prove_begin(member, mine.id, now=world.now)
    with pytest.raises(WrongCode):
        registration.prove_confirm(
            member, pending.id, json.dumps(SecurityKey(ORIGIN, HOST).sign(pending.asked)), now=world.now
        )
    registration.prove_confirm(member, pending.id, json.dumps(owner.key.sign(pending.asked)), now=world.now)
    assert not registration.status(member, now=world.now).proof_needed


def test_after_the_first_proof_the_persons_own_passkeys_are_asked_for(careful: Owner) -> None:
    attempt, asked = after_mail(careful.world, careful)
    assert len(json.loads(asked)["allowCredentials"]) == 1
    assert careful.world.verify(attempt, json.dumps(careful.key.sign(asked))).stage == "new_password"


def test_a_strangers_browser_is_asked_for_no_passkey_in_particular(owner: Owner) -> None:
    world = owner.world
    asked = {}
    for name in ("jane", "nobody"):
        attempt = world.start(name)
        world.drain()
        asked[name] = json.loads(world.send(attempt, "passkey").challenge.asked)
    assert len(asked["jane"].pop("challenge")) == len(asked["nobody"].pop("challenge"))
    assert asked["jane"] == asked["nobody"]
    assert asked["jane"]["allowCredentials"] == []


def test_a_device_that_lists_it_proves_first_for_a_strange_browser(make_world: OpenWorld) -> None:
    world = make_world(document=policy(delay=0, more=KINDS))
    owner = an_owner(world, registered=("email",))
    member = world.member("jane")
    (mail,) = world.authenticators("jane")
    pending = world.recovery.registration.prove_begin(member, mail.id, now=world.now)
    world.recovery.registration.prove_confirm(member, pending.id, world.code_for("jane"), now=world.now)
    owner.register()
    attempt = world.start("jane")
    world.drain()
    asked = world.send(attempt, "passkey").challenge.asked
    assert world.verify(attempt, json.dumps(owner.key.sign(asked))).stage == "new_password"


def test_anothers_passkey_proves_nothing(careful: Owner) -> None:
    other = an_owner(careful.world, "joe")
    other.register()
    attempt, asked = after_mail(careful.world, careful)
    for key in (other.key, replace(other.key, id=careful.key.id)):
        with pytest.raises(WrongCode):
            careful.world.verify(attempt, json.dumps(key.sign(asked)))


def test_a_signature_for_one_attempt_is_none_for_another(careful: Owner) -> None:
    world = careful.world
    _first, asked = after_mail(world, careful)
    signed = json.dumps(careful.key.sign(asked))
    world.clock.forward(minutes=2)
    second, _asked = after_mail(world, careful)
    with pytest.raises(WrongCode):
        world.verify(second, signed)


@pytest.mark.parametrize(
    "lie", [{"origin": "https://evil.example.org"}, {"host": "example.org"}, {"verifies": False}], ids=str
)
def test_a_lying_device_proves_nothing(careful: Owner, lie: dict[str, Any]) -> None:
    attempt, asked = after_mail(careful.world, careful)
    with pytest.raises(WrongCode):
        careful.world.verify(attempt, json.dumps(replace(careful.key, **lie).sign(asked)))


def test_a_copy_whose_counter_stands_still_is_refused_and_audited(careful: Owner) -> None:
    world = careful.world
    copy = replace(careful.key)
    attempt, asked = after_mail(world, careful)
    world.verify(attempt, json.dumps(careful.key.sign(asked)))
    world.clock.forward(minutes=20)
    attempt, asked = after_mail(world, careful)
    with pytest.raises(WrongCode):
        world.verify(attempt, json.dumps(copy.sign(asked)))
    assert len(world.audited(AuditAction.PASSKEY_COPIED)) == 1


def test_a_device_that_does_not_count_may_be_used_again(two_gates: World) -> None:
    owner = an_owner(two_gates)
    owner.key = replace(owner.key, counts=False)
    owner.register()
    with two_gates.database.transaction() as transaction:
        two_gates._register(transaction, two_gates.person_id("jane"), "jane", "email")
    for _time in range(2):
        attempt, asked = after_mail(two_gates, owner)
        two_gates.verify(attempt, json.dumps(owner.key.sign(asked)))
        two_gates.clock.forward(minutes=20)


def test_a_name_is_one_short_line() -> None:
    assert clean_name("  Blue\x00\u202e \r\n key  " + "x" * 500) == "Blue key " + "x" * 31
