"""What the plane hands to the gate."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from enforcement.current_policy import adopt
from enforcement.decision import Interrupt, Release
from enforcement.gate import Gate
from enforcement.policy import GroupsUnknown
from gateway.interception.ask_gate import ask_gate
from idp_plugin.base import SignIn, Subject
from store.database import Database
from store.vault import Vault

NOW = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)
BY_ROLE = """
[[rules]]
name = "Accountants"
[rules.who]
roles = ["accountant"]
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", Vault([b"k" * 32]))
    database.upgrade()
    adopt(database, BY_ROLE, author="test", now=NOW)
    yield Gate(database)
    database.dispose()


def sign_in(roles: frozenset[str] | None) -> SignIn:
    subject = Subject("https://sso.example.org", "alice")
    return SignIn(subject, "session", "app", groups=frozenset(), roles=roles)


def test_a_rule_for_a_role_covers_who_holds_it_and_nobody_else(gate: Gate) -> None:
    assert isinstance(ask_gate(gate, sign_in(frozenset({"accountant"})), now=NOW), Interrupt)
    assert ask_gate(gate, sign_in(frozenset({"cook"})), now=NOW) == Release("not_covered")


def test_roles_that_nobody_stated_let_nobody_through(gate: Gate) -> None:
    with pytest.raises(GroupsUnknown):
        ask_gate(gate, sign_in(None), now=NOW)
