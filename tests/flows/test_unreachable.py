"""A directory that does not answer is told after the first proof, before one more code is spent (S4)."""

from typing import Any

import pytest

from flows.errors import NotReachable
from flows.recovery.attempt import Stage
from idp_plugin.base import Convergence, TargetOutcome, TargetResult, WriterCapabilities
from idp_plugin.errors import IdpUnavailable
from store.audit import AuditAction
from tests.flows.world import World

NEW = "a rather good password"


def test_it_is_told_after_the_first_proof_which_counts(world: World, monkeypatch: Any) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    with monkeypatch.context() as patched:

        def down(_: object) -> WriterCapabilities:
            raise IdpUnavailable("corp")

        patched.setattr(world.directory, "capabilities", down)
        with pytest.raises(NotReachable):
            world.verify(attempt, code)
    again = world.recovery.reset.read(attempt.id, browser="browser-a", now=world.now)
    assert again.stage is Stage.NEW_PASSWORD
    world.set_password(again, NEW)


def test_what_each_target_did_reaches_the_page_and_the_audit(world: World) -> None:
    world.a_person("bob", registered=("email",))
    world.directory.targets = (
        TargetResult("corp", TargetOutcome.WRITTEN, Convergence(2, 3)),
        TargetResult("second", TargetOutcome.FAILED),
    )
    finished = world.set_password(world.proved("bob"), NEW)
    assert finished.targets == world.directory.targets
    (event,) = world.audited(AuditAction.RESET_PASSWORD_WRITTEN)
    assert (event.detail["target:corp"], event.detail["target:second"]) == ("written", "failed")
    assert event.detail["servers:corp"] == "2 of 3"
    assert "servers:second" not in event.detail
    assert event.detail["code"] == 31002
