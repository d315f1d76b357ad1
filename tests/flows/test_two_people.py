"""Two people cannot be mixed: "start as A, finish as B" is impossible, whatever is swapped and when.

`test_reset_machine` walks one attempt after the other. Here everything that a browser holds is up for
exchange: the cookie of the attempt, the browser's own secret, the token of a known device; answers of
everybody are given to every question, twice and at once, early, late and after the end.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
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
from flows.recovery.attempt import Attempt
from flows.typed_name import digest_of
from tests.flows.world import LIMITS, World, code_in, policy, private

KINDS = ("email", "totp", "recovery_codes")
SECRETS = ("secret-of-browser-a", "secret-of-browser-b", "secret-of-browser-c")
_numbers = itertools.count()


@dataclass
class Begun:
    """One attempt, as its browser may rightly use it."""

    attempt: Attempt
    owner: str
    """Whose name was typed; empty for nobody's."""
    secret: str
    """Of the browser that began it."""
    given: list[tuple[str, str, str]] = field(default_factory=list)
    """Accepted: the kind, the answer, the browser's secret."""
    is_done: bool = False


class TwoPeople(RuleBasedStateMachine):
    """Three browsers, two people and a name of nobody."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.begun: list[Begun] = []
        self.devices: list[str] = [""]
        self.old_answers: list[str] = ["000000"]
        self.used: set[str] = set()
        self.written_before = len(world.directory.written)
        self.unlocked_before = len(world.directory.unlocked)
        self.rightly_written: list[str] = []
        self.rightly_unlocked: list[str] = []

    @initialize()
    def people(self) -> None:
        number = next(_numbers)
        self.names = (f"anna{number}", f"bert{number}", f"nobody{number}")
        for name in self.names[:2]:
            self.world.a_person(name, registered=KINDS)
        for name, purpose, secret in zip(self.names, ("reset", "unlock", "reset"), SECRETS, strict=True):
            self._start(name, purpose, secret, "")

    @rule(
        who=st.sampled_from(range(3)),
        secret=st.sampled_from(SECRETS),
        purpose=st.sampled_from(["reset", "unlock"]),
        spelt=st.sampled_from([str, str.upper, lambda name: f"{name}@example.org"]),
        data=st.data(),
    )
    def start(self, who: int, secret: str, purpose: str, spelt: Callable[[str], str], data: Any) -> None:
        device = data.draw(st.sampled_from(self.devices))
        self._start(self.names[who], purpose, secret, device, spelt)

    @rule()
    def work_off_the_queue(self) -> None:
        self.world.drain()

    @rule(seconds=st.sampled_from([1, 6, 31, 61, 301, 901]))
    def wait(self, seconds: int) -> None:
        self.world.clock.forward(seconds=seconds)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), kind=st.sampled_from(KINDS), secret=st.sampled_from(SECRETS))
    def send_with_any_cookies(self, data: Any, kind: str, secret: str) -> None:
        begun = data.draw(st.sampled_from(self.begun))
        try:
            self.world.send(begun.attempt, kind, browser=secret, hurry=True)
        except FlowError:
            return
        assert secret == begun.secret

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), secret=st.sampled_from(SECRETS), times=st.sampled_from([1, 2, 3]))
    def answer_with_anybodys(self, data: Any, secret: str, times: int) -> None:
        begun = data.draw(st.sampled_from(self.begun))
        answer = data.draw(st.sampled_from(self._every_answer()))
        secret = data.draw(st.sampled_from([begun.secret, secret]))
        self._answer(begun, answer, secret, times)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), steps=st.sampled_from([3, 1]), times=st.sampled_from([1, 3]))
    def go_on_as_the_owner(self, data: Any, steps: int, times: int) -> None:
        """Go on as people do, so that runs get far."""
        open_still = [each for each in self.begun if each.owner and len(each.given) < 2]
        begun = data.draw(st.sampled_from(open_still[-3:] or self.begun))
        for kind in data.draw(st.permutations(KINDS))[:steps]:
            self.world.drain()
            self.world.clock.forward(seconds=61)
            try:
                self.world.send(begun.attempt, kind, browser=begun.secret)
            except FlowError:
                continue
            self.world.drain()
            own = self._answers_of(begun.owner, kind, begun) if begun.owner else []
            fresh = [each for each in own if each not in self.used]
            if fresh:
                self._answer(begun, fresh[-1], begun.secret, times)
        if steps > 1 and len(begun.given) == 2:
            self._finish(begun, data.draw(st.sampled_from([begun.secret, *SECRETS])), times)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), secret=st.sampled_from(SECRETS), times=st.sampled_from([1, 3]))
    def finish_with_any_cookies(self, data: Any, secret: str, times: int) -> None:
        ready = [each for each in self.begun if len(each.given) == 2 and not each.is_done]
        begun = data.draw(st.sampled_from(ready or self.begun))
        self._finish(begun, data.draw(st.sampled_from([begun.secret, secret])), times)

    def _finish(self, begun: Begun, secret: str, times: int) -> None:
        journey, finish = begun.attempt.purpose, self.world.set_password
        done = self._at_once(
            times,
            lambda: (
                finish(begun.attempt, "a rather good password", browser=secret)
                if journey == "reset"
                else self.world.unlock(begun.attempt, browser=secret)
            ),
        )
        assert len(done) <= 1
        if done:
            self._finished(begun, secret)

    @invariant()
    def nothing_is_done_to_anybody_else(self) -> None:
        written = [entry for entry, _ in self.world.directory.written[self.written_before :]]
        unlocked = [entry for entry, _ in self.world.directory.unlocked[self.unlocked_before :]]
        assert written == self.rightly_written
        assert unlocked == self.rightly_unlocked

    def _start(
        self, name: str, purpose: str, secret: str, device: str, spelt: Callable[[str], str] = str
    ) -> None:
        attempt = self.world.start(spelt(name), purpose, browser=secret, device=device)
        if attempt.device:
            # A token serves the name alone that it was made for.
            assert attempt.device.person_id == self.world.person_id(name)
        self.begun.append(Begun(attempt, name if name in self.names[:2] else "", secret))

    def _answer(self, begun: Begun, answer: str, secret: str, times: int) -> None:
        kind = self._kind_asked(begun)
        own = self._answers_of(begun.owner, kind, begun) if begun.owner else []
        passed = self._at_once(times, lambda: self.world.verify(begun.attempt, answer, browser=secret))
        self.old_answers = [*self.old_answers, answer][-6:]
        if not passed:
            return
        self.used.add(answer)
        assert len(passed) == 1, "one answer, one proof"
        assert begun.owner, "nobody proved something"
        assert secret == begun.secret, "another browser's proof"
        assert answer in own, "another person's or another attempt's answer"
        proof = passed[0].proofs[-1]
        mine = {each.id for each in self.world.authenticators(begun.owner) if each.kind == proof.kind}
        assert mine.issuperset(proof.authenticator_ids)
        begun.given.append((proof.kind, answer, secret))

    def _finished(self, begun: Begun, secret: str) -> None:
        assert begun.owner
        assert secret == begun.secret
        assert len({kind for kind, _, _ in begun.given}) == 2
        assert {by for _, _, by in begun.given} == {begun.secret}
        assert not begun.is_done, "one attempt, twice"
        begun.is_done = True
        done = self.rightly_written if begun.attempt.purpose == "reset" else self.rightly_unlocked
        done.append(f"entry-{begun.owner}")
        digests = [digest_of(self.world.vault, begun.owner)]
        person = self.world.person_id(begun.owner)
        self.devices.append(self.world.recovery.devices.remember("", digests, person, self.world.now))

    def _kind_asked(self, begun: Begun) -> str:
        try:
            challenge = self.world.read(begun.attempt, browser=begun.secret).challenge
        except FlowError:
            return ""
        return challenge.kind if challenge else ""

    def _answers_of(self, name: str, kind: str, begun: Begun | None = None) -> list[str]:
        """Return what a person may rightly answer; mail codes of one attempt where one is named."""
        if kind == "email":
            return [
                code_in(message)
                for message in self.world.outbox.to(private(name))
                if "verification" in message.subject
                and (begun is None or message.reference == begun.attempt.reference)
            ]
        if kind == "totp":
            return [self.world.app_code(name, steps=steps) for steps in (-1, 1, 0)]
        return list(self.world.codes[name]) if kind else []

    def _every_answer(self) -> list[str]:
        theirs = [
            each for name in self.names[:2] for kind in KINDS for each in self._answers_of(name, kind)[-3:]
        ]
        return [*self.old_answers, *theirs]

    def _at_once(self, times: int, function: Callable[[], Any]) -> list[Any]:
        """Call a function so often at the same moment; returns what was not refused."""
        line = Barrier(times)

        def call(_number: int) -> Any:
            line.wait()
            try:
                return function()
            except FlowError:
                return None

        with ThreadPoolExecutor(times) as pool:
            return [each for each in pool.map(call, range(times)) if each is not None]


def test_no_swap_of_cookies_answers_or_moments_mixes_two_people(make_world) -> None:
    limits = LIMITS.model_copy(
        update={"code_messages_per_hour": 100, "wrong_answers": 20, "code_messages_per_destination": 1000}
    )
    more = 'kinds = ["email", "totp", "recovery_codes"]'
    world = make_world(limits=limits, document=policy(register=2, reset=2, more=more))
    run_state_machine_as_test(
        lambda: TwoPeople(world),
        settings=settings(
            max_examples=30,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Else it showed nothing.
    assert len(world.directory.written) > 3
    assert len(world.directory.unlocked) > 1
