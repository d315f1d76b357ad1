"""Two people, two browsers, steps in any order: nobody's proof helps anybody else."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flows.errors import FlowError
from tests.flows.world import LIMITS, World, code_in, policy, private

PURPOSES = ("reset", "unlock")
BROWSERS = ("browser-a", "browser-b")
_numbers = itertools.count()


@dataclass
class Model:
    """What one attempt may rightly have."""

    attempt: Any
    owner: str
    """Empty for a decoy."""
    browser: str
    proved: set[str] = field(default_factory=set)
    writes: int = 0
    unlocks: int = 0


class ResetMachine(RuleBasedStateMachine):
    """Drives `Reset` as two browsers would, honestly and not."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.models: list[Model] = []
        self.names: tuple[str, ...] = ()
        self.writes_before = len(world.directory.written)
        self.unlocks_before = len(world.directory.unlocked)

    @initialize()
    def people(self) -> None:
        number = next(_numbers)
        self.names = (f"anna{number}", f"bert{number}", f"nobody{number}")
        for name, browser, purpose in zip(self.names[:2], BROWSERS, PURPOSES, strict=True):
            self.world.a_person(name, registered=("email", "totp"))
            self.models.append(Model(self.world.start(name, purpose, browser=browser), name, browser))

    @rule(
        who=st.sampled_from(range(3)),
        browser=st.sampled_from(BROWSERS),
        alias=st.booleans(),
        purpose=st.sampled_from(PURPOSES),
    )
    def start(self, who: int, browser: str, alias: bool, purpose: str) -> None:
        name = self.names[who]
        typed = f"{name}@example.org" if alias else name
        owner = name if who < 2 else ""
        self.models.append(Model(self.world.start(typed, purpose, browser=browser), owner, browser))

    @rule()
    def work_off_the_queue(self) -> None:
        self.world.drain()

    @rule(seconds=st.sampled_from([1, 31, 61, 301]))
    def wait(self, seconds: int) -> None:
        self.world.clock.forward(seconds=seconds)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), kind=st.sampled_from(["email", "totp"]), browser=st.sampled_from(BROWSERS))
    def send(self, data: Any, kind: str, browser: str) -> None:
        model = data.draw(st.sampled_from(self.models))
        try:
            self.world.send(model.attempt, kind, browser=browser)
        except FlowError:
            return
        assert browser == model.browser
        assert kind not in model.proved

    @precondition(lambda self: self.models)
    @rule(data=st.data(), source=st.sampled_from(["mail", "app", "guess"]), browser=st.sampled_from(BROWSERS))
    def verify(self, data: Any, source: str, browser: str) -> None:
        model = data.draw(st.sampled_from(self.models))
        answer = self._answer(data, source)
        try:
            advanced = self.world.verify(model.attempt, answer, browser=browser)
        except FlowError:
            return
        kind = advanced.proofs[-1].kind
        assert model.owner, "a decoy advanced"
        assert browser == model.browser
        assert kind not in model.proved
        assert answer in self._rightful(model, kind)
        model.proved.add(kind)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), steps=st.sampled_from([2, 1]))
    def prove_honestly(self, data: Any, steps: int) -> None:
        """Take the next steps as the owner would, so that runs get far."""
        model = data.draw(st.sampled_from(self.models))
        for _ in range(steps):
            self._prove_honestly(model)

    def _prove_honestly(self, model: Model) -> None:
        if not model.owner:
            return
        browser = model.browser
        kind = "email" if "email" not in model.proved else "totp"
        self.world.drain()
        self.world.clock.forward(seconds=61)
        try:
            self.world.send(model.attempt, kind, browser=browser)
            self.world.drain()
            rightful = self._rightful(model, kind)
            advanced = self.world.verify(model.attempt, rightful[-1] if rightful else "0", browser=browser)
        except FlowError:
            return
        model.proved.add(advanced.proofs[-1].kind)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), browser=st.sampled_from(BROWSERS), ready=st.sampled_from([True, False]))
    def set_password(self, data: Any, browser: str, ready: bool) -> None:
        promising = [each for each in self.models if len(each.proved) == 2 and not each.writes]
        promising = [each for each in promising if each.attempt.purpose == "reset"]
        model = data.draw(st.sampled_from(promising if ready and promising else self.models))
        browser = model.browser if ready else browser
        try:
            self.world.set_password(model.attempt, "a rather good password", browser=browser)
        except FlowError:
            return
        model.writes += 1
        assert model.attempt.purpose == "reset"
        assert browser == model.browser
        assert model.proved == {"email", "totp"}
        assert self.world.directory.written[-1][0] == f"entry-{model.owner}"

    @precondition(lambda self: self.models)
    @rule(data=st.data(), browser=st.sampled_from(BROWSERS), ready=st.sampled_from([True, False]))
    def unlock(self, data: Any, browser: str, ready: bool) -> None:
        promising = [each for each in self.models if len(each.proved) == 2 and not each.unlocks]
        promising = [each for each in promising if each.attempt.purpose == "unlock"]
        model = data.draw(st.sampled_from(promising if ready and promising else self.models))
        browser = model.browser if ready else browser
        try:
            self.world.unlock(model.attempt, browser=browser)
        except FlowError:
            return
        model.unlocks += 1
        assert model.attempt.purpose == "unlock"
        assert browser == model.browser
        assert model.proved == {"email", "totp"}
        assert self.world.directory.unlocked[-1][0] == f"entry-{model.owner}"

    @invariant()
    def at_most_one_unlock_for_each_attempt(self) -> None:
        assert all(model.unlocks <= 1 for model in self.models)
        unlocked = len(self.world.directory.unlocked) - self.unlocks_before
        assert unlocked == sum(model.unlocks for model in self.models)

    @invariant()
    def at_most_one_write_for_each_attempt(self) -> None:
        assert all(model.writes <= 1 for model in self.models)
        written = len(self.world.directory.written) - self.writes_before
        assert written == sum(model.writes for model in self.models)

    @invariant()
    def decoys_have_no_proof(self) -> None:
        assert not any(model.proved for model in self.models if not model.owner)

    def _answer(self, data: Any, source: str) -> str:
        if source == "mail":
            codes = [
                code_in(message)
                for name in self.names
                for message in self.world.outbox.to(private(name))
                if "verification" in message.subject
            ]
            return data.draw(st.sampled_from(codes)) if codes else "000000"
        if source == "app":
            return self.world.app_code(self.names[data.draw(st.sampled_from([0, 1]))])
        return data.draw(st.sampled_from(["000000", "", "12345", "x" * 1000]))

    def _rightful(self, model: Model, kind: str) -> list[str]:
        if kind == "totp":
            return [self.world.app_code(model.owner, steps=steps) for steps in (-1, 1, 0)]
        return [
            code_in(message)
            for message in self.world.outbox.to(private(model.owner))
            if message.reference == model.attempt.reference and "verification" in message.subject
        ]


def test_no_order_of_steps_mixes_two_people(make_world) -> None:
    limits = LIMITS.model_copy(
        update={"code_messages_per_hour": 100, "attempt_minutes": 120, "wrong_answers": 20}
    )
    world = make_world(limits=limits, document=policy(register=2, reset=2))
    run_state_machine_as_test(
        lambda: ResetMachine(world),
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Else it showed nothing.
    assert len(world.directory.written) > 3
    assert len(world.directory.unlocked) > 3
