"""What an agent does with one order: believe it, take it, claim it, do it once, answer.

A write that anybody began is never begun again, whatever is redelivered: it is read back. Until it is
known what became of it nothing is answered, and the gateway asks once more by `settle`.
"""

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import structlog
from joserfc.jwk import OKPKey

from idp_plugin.errors import IdpError
from idp_plugin.writeback import answer as answers
from idp_plugin.writeback.agent_directory import AgentDirectory
from idp_plugin.writeback.answer import Answer, Outcome
from idp_plugin.writeback.boundary import Boundary
from idp_plugin.writeback.channel import AgentEnd, Delivery
from idp_plugin.writeback.identity import AgentIdentity, IdentityFile
from idp_plugin.writeback.keys import Untrusted, public_text
from idp_plugin.writeback.order import LIFE, SKEW, Order, OrderKind, Package, content_of, trusted
from idp_plugin.writeback.order_log import OrderLog
from idp_plugin.writeback.record import Record, Remembered, State
from idp_plugin.writeback.wire_types import capabilities_json, identity_json, results_json

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    """A believed order on its way through."""

    delivery: Delivery
    package: Package
    order: Order


class Agent:
    """Works on orders. Thread-safe: several threads share one."""

    def __init__(
        self,
        *,
        file: IdentityFile,
        channel: AgentEnd,
        directory: AgentDirectory,
        record: Record,
        boundary: Boundary,
        order_log: OrderLog,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._file = file
        self._identity = file.read()
        self._channel = channel
        self._directory = directory
        self._record = record
        self._boundary = boundary
        self._log = order_log
        self._clock = clock
        self._working: set[str] = set()
        self._compared: dict[str, dt.datetime] = {}
        self._lock = threading.Lock()

    @property
    def identity(self) -> AgentIdentity:
        """The keys in use."""
        return self._identity

    def step(self, wait: dt.timedelta) -> bool:
        """Wait for one order and work on it; tell whether there was one.

        Raises:
            ChannelDown: The channel does not answer.
        """
        delivery = self._channel.receive(wait)
        if delivery is not None:
            self.work(delivery)
        return delivery is not None

    def work(self, delivery: Delivery) -> None:
        """Work on one delivery; raises `ChannelDown`."""
        try:
            package = Package.from_bytes(delivery.body)
            order = self._believed(package)
        except Untrusted as untrusted:
            # Security: nothing is answered to whoever is not the gateway.
            log.warning("order_not_believed", why=untrusted.why)
            self._log.write("not_believed", why=untrusted.why)
            self._channel.drop(delivery)
            return
        if self._identity.id not in order.agents:
            # Sealed to others, who get it when this one stays silent. They let go of it; where they never
            # come back this one does, so late that its own clock may be wrong by minutes.
            if self._clock() >= order.expires_at + 10 * SKEW:
                self._channel.drop(delivery)
            return
        with self._alone(order.id) as alone:
            if alone:
                self._work(_Work(delivery, package, order))

    def roll(self, *, signing_too: bool = False) -> None:
        """Use new keys from now on; the old sealing key opens what is on its way, then is destroyed."""
        with self._lock:
            changed = self._identity.rolled(self._clock(), signing_too=signing_too)
            self._file.write(changed)
            self._identity = changed
        self._log.write("keys_rolled", code=31018, generation=changed.generation)

    def tidy(self) -> None:
        """Destroy rolled keys and forget old orders."""
        with self._lock:
            kept = self._identity.forgotten(self._clock())
            if kept is not self._identity:
                self._file.write(kept)
                self._identity = kept
        self._record.forget(self._clock())
        recent = self._clock() - 2 * (LIFE + SKEW)
        self._compared = {id_: at for id_, at in self._compared.items() if at > recent}

    def _believed(self, package: Package) -> Order:
        identity = self._identity
        try:
            order, key = trusted(package, identity.gateway)
        except Untrusted:
            former = identity.former
            if former is None or former.until <= self._clock():
                raise
            # Security: this very key, and nothing that it might lead to.
            return trusted(replace(package, introductions=()), former.key)[0]
        if public_text(key) != public_text(identity.gateway):
            self._pin(key)
        return order

    def _pin(self, key: OKPKey) -> None:
        with self._lock:
            if public_text(self._identity.gateway) == public_text(key):
                # Another thread was quicker.
                return
            changed = self._identity.pinned(key, self._clock())
            self._file.write(changed)
            self._identity = changed
        self._log.write("gateway_key_succeeded")

    @contextlib.contextmanager
    def _alone(self, order_id: str) -> Iterator[bool]:
        """Keep a second thread from an order that is redelivered while the first one works."""
        with self._lock:
            alone = order_id not in self._working
            self._working.add(order_id)
        try:
            yield alone
        finally:
            if alone:
                with self._lock:
                    self._working.discard(order_id)

    def _work(self, work: _Work) -> None:
        if not work.order.kind.writes:
            self._send(work, self._admitted(work, self._looked_up))
            return
        known = self._record.take(work.order, self._clock())
        match known:
            case Remembered(state=State.ANSWERED, answer=answer):
                self._channel.answer(work.delivery, work.order.id, answer)
            case Remembered(state=State.VOID):
                self._channel.drop(work.delivery)
            case Remembered(state=State.BEGUN):
                self._find_out(work)
            case _:
                # Claimed at the channel too: of several agents one begins it.
                if self._channel.claim(work.delivery, work.order.id):
                    self._send(work, self._admitted(work, self._written))
                else:
                    self._find_out(work)

    def _admitted(self, work: _Work, carry_out: Callable[[Order, Mapping[str, str]], Answer]) -> Answer:
        """Carry an order out, if it may come in and can be read."""
        why = self._boundary.admit(work.order)
        if why:
            return Answer(Outcome.NOT_BEGUN, (why,))
        try:
            content = self._content(work)
        except Untrusted:
            return Answer(Outcome.NOT_BEGUN, ("unreadable",))
        return self._guarded(work, lambda: carry_out(work.order, content))

    def _written(self, order: Order, content: Mapping[str, str]) -> Answer:
        match order.kind:
            case OrderKind.SET_PASSWORD:
                results = self._directory.set_password(order.subject, content["new"])
                return Answer(Outcome.DONE, content={"results": results_json(results)})
            case OrderKind.CHANGE_PASSWORD:
                results = self._directory.change_password(order.subject, content["old"], content["new"])
                return Answer(Outcome.DONE, content={"results": results_json(results)})
            case OrderKind.REQUIRE_CHANGE:
                self._directory.require_change(order.subject)
            case _:
                was_locked = self._directory.unlock(order.subject)
                return Answer(Outcome.DONE, content={"was_locked": was_locked})
        return Answer(Outcome.DONE)

    def _looked_up(self, order: Order, content: Mapping[str, str]) -> Answer:
        match order.kind:
            case OrderKind.CAPABILITIES:
                found = capabilities_json(self._directory.capabilities(order.subject))
                return Answer(Outcome.DONE, content={"capabilities": found})
            case OrderKind.SETTLE:
                return self._settled(order, content)
            case OrderKind.FIND:
                identity = self._directory.find(content["identifier"])
            case _:
                identity = self._directory.get(order.subject)
        return Answer(Outcome.DONE, content={"identity": identity_json(identity) if identity else None})

    def _settled(self, order: Order, content: Mapping[str, str]) -> Answer:
        """Say what became of an earlier order; from now on it is not begun here."""
        known = self._record.void(order.settles, order.subject, self._clock())
        if known is not None and known.outcome not in {"", Outcome.UNKNOWN.value}:
            return Answer(Outcome(known.outcome), known.why)
        # What goes wrong while reading back says nothing of the write.
        with contextlib.suppress(IdpError):
            if self._was_written(order, content):
                return Answer(Outcome.DONE)
        return Answer(Outcome.UNKNOWN, ("not_read_back",))

    def _guarded(self, work: _Work, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except IdpError as error:
            return Answer.of_error(error)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the gateway is told what is known
            # Security: no traceback, whose lines could quote a password.
            log.error("order_fault", order=work.order.id, cause=type(error).__name__)  # noqa: TRY400
            return Answer(Outcome.UNKNOWN, ("fault",))

    def _content(self, work: _Work) -> Mapping[str, str]:
        return content_of(work.package, work.order, self._identity.sealing_keys())

    def _find_out(self, work: _Work) -> None:
        """Read back what somebody began; say nothing while it is open (S19)."""
        if self._is_over(work.order):
            self._channel.drop(work.delivery)
            return
        with contextlib.suppress(IdpError, Untrusted):
            if self._was_written(work.order, self._content(work)):
                self._send(work, Answer(Outcome.DONE))

    def _is_over(self, order: Order) -> bool:
        return self._clock() >= order.expires_at

    def _was_written(self, order: Order, content: Mapping[str, str]) -> bool:
        new = content.get("new")
        if new is None:
            return False
        last = self._directory.last_write(order.subject)
        # Nobody wrote since the order: a bind, which counts as a wrong password, is not needed.
        if last is None or last.at < order.issued_at - SKEW:
            return False
        # Nor twice for one write: reading back must not lock the person out.
        asked = order.settles or order.id
        if self._compared.get(asked) == last.at:
            return False
        self._compared[asked] = last.at
        # Security: whoever speaks for the gateway must not guess passwords, or lock people out, by asking
        # what became of orders that never were.
        if not self._boundary.admit_comparison(order.subject):
            return False
        person = self._directory.get(order.subject)
        if person is None or (person.privileged and not person.opened):
            return False
        return self._directory.opens(order.subject, new, server=last.server)

    def _send(self, work: _Work, answer: Answer) -> None:
        order, identity = work.order, self._identity
        body = answers.pack(answer, order, agent=identity.id, key=identity.signing)
        if order.kind.writes:
            self._record.finish(order.id, body, answer.outcome.value, answer.why)
            self._log.order(order, answer)
        self._channel.answer(work.delivery, order.id, body)
