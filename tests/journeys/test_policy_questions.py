"""`sparekey policy what-if` and `exempt`, and `sparekey people reconfirm`, beside a running gateway."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from enforcement.decision import Interrupt, Release
from enforcement.situation import Situation
from gateway.cli import people, policy_questions
from gateway.cli.policy import command
from idp_plugin.base import Identity
from tests.journeys.conftest import opened
from tests.journeys.world import World

Run = Callable[..., Result]
TRIED = """
[[rules]]
name = "Emergency"
required = false
reset_allowed = false
[rules.who]
groups = ["staff"]
protocols = ["token"]

[[rules]]
name = "Tried out"
report_only = true
kinds = ["totp"]
[rules.who]
everyone = true
networks = ["192.0.2.0/24"]

[[rules]]
name = "Payroll"
kinds = ["totp"]
[rules.who]
everyone = true
clients = ["payroll"]

[[rules]]
name = "Everybody"
kinds = ["email"]
[rules.who]
everyone = true
[rules.postpone]
times = 3
until = 2027-03-14
"""


@pytest.fixture(scope="module")
def module_world() -> Iterator[World]:
    with opened() as world:
        yield world


@pytest.fixture
def world(module_world: World) -> World:
    module_world.begin_anew()
    return module_world


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command beside the running gateway; FILE stands for the policy that is tried out."""
    for module in (policy_questions, people):
        monkeypatch.setattr(module, "load_or_exit", lambda *_: world.sparekey.services.settings)
    settings, tried = world.folder / "sparekey.toml", world.folder / "tried.toml"
    settings.touch()
    tried.write_text(TRIED, "utf-8")

    def ran(*arguments: str) -> Result:
        given = [str(tried) if each == "FILE" else each for each in arguments]
        group = people.command if arguments[0] == "reconfirm" else command
        return CliRunner().invoke(group, [*given, "--settings", str(settings)])

    return ran


def identity(world: World, username: str) -> Identity:
    found = world.sparekey.provider.directory.find(username)
    assert found
    return found


@pytest.mark.parametrize("username", ["alice", "bob", "heidi"])
def test_what_if_says_what_the_gate_then_does(world: World, run: Run, username: str) -> None:
    world.register("bob", "email")
    told = json.loads(run("what-if", username, "--app", "timesheets", "--json").output)
    who = identity(world, username)
    situation = Situation(
        source=who.subject.source,
        subject=who.subject.id,
        groups=who.groups,
        roles=who.roles,
        client_id="timesheets",
        at=world.clock(),
    )
    decided = world.sparekey.services.gate.ask(situation, session_id="")
    assert told["verdict"]["reason"] == decided.reason
    assert told["verdict"]["decision"] == ("interrupt" if isinstance(decided, Interrupt) else "release")
    assert isinstance(decided, Interrupt | Release)


def test_every_rule_tells_why(run: Run) -> None:
    arguments = (
        "--app",
        "wiki",
        "--protocol",
        "oidc",
        "--from",
        "192.0.2.7",
        "--at",
        "2027-03-01T08:00+01:00",
    )
    asked = run("what-if", "alice", *arguments, "--policy", "FILE")
    assert asked.exit_code == 0, asked.output
    assert asked.output == (
        "interrupt, nothing is registered: 1 more of email; “later” may be said 3 times until 2027-03-14"
        "  (policy version 0, at 2027-03-01T08:00:00+01:00)\n"
        "decided by “Everybody”\n"
        "  against      “Emergency”: another protocol\n"
        "  reports      “Tried out”: interrupt, nothing is registered: 1 more of totp\n"
        "  against      “Payroll”: another application\n"
        "  decides      “Everybody”: interrupt, nothing is registered: 1 more of email; “later” may be said"
        " 3 times until 2027-03-14\n"
    )


def test_what_is_not_said_is_unknown_and_the_strictest_rule_decides(world: World, run: Run) -> None:
    world.register("bob", "email")
    told = json.loads(run("what-if", "bob", "--policy", "FILE", "--json").output)
    assert (told["verdict"]["reason"], told["rule"]) == ("unregistered", "Payroll")
    parts = [(each["part"], each["unknown"]) for each in told["rules"]]
    assert parts == [
        ("may_decide", ["protocols"]),
        ("reports", ["networks"]),
        ("may_decide", ["clients"]),
        ("decides", []),
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("what-if", "nobody"), 1, "no one person"),
        (("what-if", "alice", "--at", "tomorrow"), 2, "is no time"),
        (("what-if", "alice", "--protocol", "ldap"), 2, "ldap"),
        (("reconfirm", "nobody"), 1, "no one person"),
        (("reconfirm", "alice"), 1, "never registered"),
        (("reconfirm",), 2, "name one person"),
        (("reconfirm", "bob", "--changed-in-directory"), 2, "name one person"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    run: Run, arguments: tuple[str, ...], status: int, words: str
) -> None:
    refused = run(*arguments)
    assert (refused.exit_code, words in refused.output) == (status, True), refused.output


def test_who_is_exempt_is_listed_with_what_the_rule_is_bound_to(run: Run) -> None:
    assert json.loads(run("exempt", "--json").output) == []
    listed = json.loads(run("exempt", "--policy", "FILE", "--json").output)
    (rule,) = listed
    assert {name: rule[name] for name in ("rule", "only", "may_reset")} == {
        "rule": "Emergency",
        "only": {"protocols": ["token"]},
        "may_reset": False,
    }
    assert {"alice", "bob"} <= set(rule["people"])
    assert "heidi" not in rule["people"]
    told = run("exempt", "--policy", "FILE").output
    assert told.startswith("“Emergency”: may not reset their password\n  only: {")
    assert ", bob," in told


def test_somebody_who_is_to_confirm_again_is_asked_at_the_next_sign_in(world: World, run: Run) -> None:
    world.register("bob", "email")
    assert '"covered"' in run("what-if", "bob", "--json").output
    assert run("reconfirm", "bob").output == "bob is asked at the next sign-in\n"
    assert '"stale"' in run("what-if", "bob", "--json").output


def test_the_first_comparison_with_the_directory_asks_nobody(world: World, run: Run) -> None:
    world.register("bob", "email")
    assert run("reconfirm", "--changed-in-directory").output == "0 people are asked at their next sign-in\n"
    assert '"covered"' in run("what-if", "bob", "--json").output
