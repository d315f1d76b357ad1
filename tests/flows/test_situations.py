"""Rules that are bound to sign-ins: what they decide in the portal, and what they do not in a recovery."""

import json

from flows.recovery.attempt import Stage
from tests.flows.world import World

RULES = """
[[rules]]
name = "From the office, at work"
kinds = ["totp"]
[rules.who]
everyone = true
networks = ["192.0.2.0/24"]
protocols = ["saml"]
times = [{ zone = "Europe/Amsterdam" }]

[[rules]]
name = "Some, strictly"
kinds = ["email", "totp"]
register = 2
reset = 2
trust_delay_hours = 48
[rules.who]
subjects = SUBJECTS

[[rules]]
name = "Everybody"
kinds = ["email"]
trust_delay_hours = 24
[rules.who]
everyone = true
"""


def a_world(make_world, *strictly: str) -> World:
    subjects = json.dumps([f"sub-{name}" for name in strictly] or ["nobody"])
    return make_world(document=RULES.replace("SUBJECTS", subjects))


def rule_of(world: World, username: str, **held: str) -> str:
    status = world.recovery.registration.status(world.member(username, **held), now=world.now)
    return status.rule.name if status.rule else ""


def test_the_portal_goes_by_the_rule_of_the_sign_in_that_waits(make_world) -> None:
    world = a_world(make_world)
    world.a_person("alice")
    office = {"client_id": "wiki", "protocol": "saml", "client_address": "192.0.2.7"}
    assert rule_of(world, "alice", **office) == "From the office, at work"
    assert rule_of(world, "alice", **office | {"client_address": "198.51.100.7"}) == "Everybody"
    assert rule_of(world, "alice", **office | {"protocol": "oidc"}) == "Everybody"


def test_apart_from_a_sign_in_the_first_rule_that_is_bound_to_none_decides(make_world) -> None:
    world = a_world(make_world, "alice")
    world.a_person("alice", registered=("email", "totp"))
    world.a_person("bob", registered=("email",))
    assert [rule_of(world, name) for name in ("alice", "bob")] == ["Some, strictly", "Everybody"]
    assert [world.proved(name).stage for name in ("alice", "bob")] == [Stage.CHOOSE, Stage.NEW_PASSWORD]


def test_what_is_bound_waits_as_long_as_the_strictest_rule_that_may_decide_says(make_world) -> None:
    world = a_world(make_world)
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "email", "alice.private@example.net", now=world.now)
    added = registration.confirm(member, pending.id, world.code_for("alice"), now=world.now)
    assert (added.trusted_from - world.now).total_seconds() == 24 * 3600


def test_an_unknown_sign_in_goes_by_the_rule_that_still_asks_for_something(make_world) -> None:
    named = RULES.replace('networks = ["192.0.2.0/24"]', 'clients = ["payroll"]')
    world = make_world(document=named.replace("SUBJECTS", '["nobody"]'))
    world.a_person("bob", registered=("email",))
    world.a_person("alice", registered=("totp",))
    unknown = {"client_id": "", "protocol": "saml"}
    assert rule_of(world, "bob", **unknown) == "From the office, at work"
    assert rule_of(world, "alice", **unknown) == "Everybody"
