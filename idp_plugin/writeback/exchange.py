"""One order and its answer, from the gateway's side, within a deadline."""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterable

import structlog
from joserfc.jwk import OKPKey

from idp_plugin.errors import IdpUnavailable, OutcomeUnknown
from idp_plugin.writeback import answer as answers
from idp_plugin.writeback.answer import Answer
from idp_plugin.writeback.channel import ChannelDown, GatewayEnd, NotSent, Withdrawal
from idp_plugin.writeback.keys import Untrusted
from idp_plugin.writeback.order import Order

_PAUSE_SECONDS = 0.05
_NOWHERE = "0-1"
"""A delivery that no channel has: the sending of the order was not confirmed."""
log = structlog.get_logger(__name__)


class Exchange:
    """Sends one order and waits for its answer; used once."""

    def __init__(
        self,
        channel: GatewayEnd,
        order: Order,
        *,
        reply_key: OKPKey,
        signing_keys: Callable[[str], Iterable[OKPKey]],
        until: float,
    ) -> None:
        """Take the parts.

        Args:
            reply_key: The private half of `order.reply_to`.
            signing_keys: Yields the keys that may speak for an agent, the likeliest first; asked for no
                more of them than it takes.
            until: By the monotonic clock.
        """
        self._channel = channel
        self._order = order
        self._reply_key = reply_key
        self._signing_keys = signing_keys
        self._until = until
        self._delivery = _NOWHERE

    def run(self, body: bytes) -> Answer:
        """Send and wait.

        Raises:
            IdpUnavailable: Nobody began the order, and nobody will.
            OutcomeUnknown: No answer in time, and it may have been done.
        """
        try:
            self._send(body)
            answer = self._wait()
            return answer if answer is not None else self._withdrawn()
        finally:
            with contextlib.suppress(ChannelDown):
                self._channel.forget(self._order.id, self._delivery)

    def _send(self, body: bytes) -> None:
        """Send; a channel that does not answer at all may come back, but what may have left is not resent."""
        try:
            self._delivery = self._channel.send(self._order.id, body)
        except NotSent as error:
            raise IdpUnavailable(self._order.target) from error
        except ChannelDown as error:
            if self._order.kind.writes:
                # It may have arrived: the same answer is waited for, and withdrawn in the end.
                log.warning("order_may_be_lost", order=self._order.id)
                return
            raise IdpUnavailable(self._order.target) from error

    def _wait(self) -> Answer | None:
        while (left := self._until - time.monotonic()) > 0:
            try:
                body = self._channel.answer(self._order.id, dt.timedelta(seconds=left))
            except ChannelDown:
                time.sleep(min(_PAUSE_SECONDS, max(left, 0)))
                continue
            answer = self._believed(body) if body is not None else None
            if answer is not None:
                return answer
        return None

    def _believed(self, body: bytes) -> Answer | None:
        why = "agent"
        try:
            agent = answers.stated_agent(body)
            for key in self._signing_keys(agent):
                try:
                    return answers.unpack(body, self._order, agent=agent, key=key, reply_key=self._reply_key)
                except Untrusted as untrusted:
                    why = untrusted.why
        except Untrusted as untrusted:
            why = untrusted.why
        # Security: somebody who writes to the channel can neither answer nor end the waiting.
        log.warning("answer_not_believed", order=self._order.id, why=why)
        return None

    def _withdrawn(self) -> Answer:
        target = self._order.target
        if not self._order.kind.writes:
            raise IdpUnavailable(target)
        try:
            withdrawal = self._channel.withdraw(self._order.id, self._delivery)
        except ChannelDown as error:
            raise OutcomeUnknown(target) from error
        if withdrawal is Withdrawal.WITHDRAWN:
            raise IdpUnavailable(target)
        raise OutcomeUnknown(target)
