"""A directory behind agents, as the gateway uses it: a `Directory` and a `PasswordWriter`."""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from joserfc.jwk import OKPKey

from idp_plugin.base import Identity, Subject, TargetOutcome, TargetResult, WriterCapabilities
from idp_plugin.errors import IdpError, IdpMisconfigured, IdpUnavailable, NotPermitted, OutcomeUnknown
from idp_plugin.writeback.answer import Answer, Outcome
from idp_plugin.writeback.channel import GatewayEnd
from idp_plugin.writeback.exchange import Exchange
from idp_plugin.writeback.keys import Untrusted, new_sealing_key, public_text
from idp_plugin.writeback.order import Order, OrderKind, new_id, pack
from idp_plugin.writeback.roster import Roster, SeenAgent
from idp_plugin.writeback.wire_types import read_capabilities, read_identity, read_results

DEADLINE = dt.timedelta(seconds=15)
"""How long a person waits for the last word."""
_ANSWER_SHARE = 0.7
"""Of the deadline, for the answer; the rest is for finding out what became of it."""
_SETTLE_PAUSE_SECONDS = 0.3
_MOST_SERVERS = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signer:
    """The gateway's own voice."""

    key: OKPKey
    introductions: tuple[str, ...] = ()
    """How the keys that it had before speak for this one."""


class RemoteDirectory:
    """Gives orders to agents and waits. Thread-safe.

    A lost answer is settled by a second order that reads back; what then is still open is
    `OutcomeUnknown`.
    """

    def __init__(
        self,
        name: str,
        subject_source: str,
        *,
        channel: GatewayEnd,
        roster: Roster,
        signer: Callable[[], Signer],
        clock: Callable[[], dt.datetime],
        deadline: dt.timedelta = DEADLINE,
    ) -> None:
        """Take the parts.

        Args:
            name: The directory's name in the settings, and in the agents'.
            subject_source: `Identity.subject.source`.
            deadline: Of one whole call.
        """
        self._name = name
        self._source = subject_source
        self._channel = channel
        self._roster = roster
        self._signer = signer
        self._clock = clock
        self._deadline = deadline.total_seconds()

    def is_reachable(self) -> bool:
        """Tell whether at least one agent takes orders."""
        return bool(self._roster.working())

    def find(self, identifier: str) -> Identity | None:
        """Return the one person of this name; see `Directory`."""
        return self._identity(OrderKind.FIND, "", {"identifier": identifier})

    def get(self, subject: Subject) -> Identity | None:
        """Return the person with this `Identity.subject`."""
        if subject.source != self._source:
            return None
        found = self._identity(OrderKind.GET, subject.id, {})
        if found is not None and found.subject.id.lower() != subject.id.lower():
            # Security: an agent in the wrong hands must not put one person in the place of another.
            raise IdpMisconfigured(f"{self._name}: an agent answered for another account")
        return found

    def everyone(self, groups: Iterable[str] = ()) -> Iterable[Identity]:
        """Refuse: whole directories do not travel through agents."""
        del groups
        raise IdpMisconfigured("everyone is not asked through an agent")

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what holds for this account."""
        answer = self._ask(OrderKind.CAPABILITIES, self._id(account), {})
        answer.raise_error()
        return _read(lambda: read_capabilities(answer.content["capabilities"]), self._name)

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Write a new password; see `PasswordWriter`."""
        return self._write(OrderKind.SET_PASSWORD, account, {"new": new})

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Change the password as the person; see `PasswordWriter`."""
        return self._write(OrderKind.CHANGE_PASSWORD, account, {"old": old, "new": new})

    def unlock(self, account: Subject) -> bool:
        """Clear a temporary lock; see `PasswordWriter`."""
        answer = self._ask(OrderKind.UNLOCK, self._id(account), {})
        answer.raise_error()
        return bool(answer.content.get("was_locked"))

    def require_change(self, account: Subject) -> None:
        """Ask for a new password at the next sign-in; see `ChangeForcer`."""
        try:
            self._ask(OrderKind.REQUIRE_CHANGE, self._id(account), {}).raise_error()
        except OutcomeUnknown as error:
            # Nothing needs to be found out: it may be done again.
            raise IdpUnavailable(self._name) from error

    def _id(self, account: Subject) -> str:
        if account.source != self._name:
            raise NotPermitted("missing")
        return account.id

    def _identity(self, kind: OrderKind, subject: str, content: Mapping[str, str]) -> Identity | None:
        answer = self._ask(kind, subject, content)
        answer.raise_error()
        found = answer.content.get("identity")
        if found is None:
            return None
        identity = _read(lambda: read_identity(found), self._name)
        # The agent knows its directory; only the gateway knows who that is to relying parties.
        return replace(
            identity,
            subject=Subject(self._source, identity.account.id),
            account=Subject(self._name, identity.account.id),
        )

    def _write(
        self, kind: OrderKind, account: Subject, content: Mapping[str, str]
    ) -> tuple[TargetResult, ...]:
        subject, end = self._id(account), time.monotonic() + self._deadline
        order_id = new_id()
        try:
            answer = self._ask(kind, subject, content, order_id=order_id)
            if answer.outcome is not Outcome.UNKNOWN:
                answer.raise_error()
                return self._results(answer)
        except OutcomeUnknown:
            pass
        self._settle(subject, content, order_id, end)
        return ()

    def _results(self, answer: Answer) -> tuple[TargetResult, ...]:
        # Security: an agent in the wrong hands names no other target, and claims no other outcome, on a page.
        found = read_results(answer.content.get("results", ()))
        said = (each.convergence for each in found[:1])
        return tuple(
            TargetResult(self._name, TargetOutcome.WRITTEN, each)
            for each in said
            if each and 0 <= each.works <= each.asked <= _MOST_SERVERS
        )

    def _settle(self, subject: str, content: Mapping[str, str], order_id: str, end: float) -> None:
        """Ask what became of an order until somebody knows it was done, or time is up (S19)."""
        new = {"new": content["new"]}
        while (left := end - time.monotonic()) > 0:
            try:
                answer = self._ask(OrderKind.SETTLE, subject, new, settles=order_id, seconds=left)
            except IdpError:
                answer = Answer(Outcome.UNKNOWN)
            if answer.outcome not in {Outcome.UNKNOWN, Outcome.NOT_BEGUN}:
                answer.raise_error()
                return
            time.sleep(min(_SETTLE_PAUSE_SECONDS, max(end - time.monotonic(), 0)))
        raise OutcomeUnknown(self._name)

    def _ask(
        self,
        kind: OrderKind,
        subject: str,
        content: Mapping[str, str],
        *,
        order_id: str = "",
        settles: str = "",
        seconds: float | None = None,
    ) -> Answer:
        agents = self._roster.working()
        if not agents:
            raise IdpUnavailable(self._name)
        reply_key = new_sealing_key()
        order = Order(
            id=order_id or new_id(),
            kind=kind,
            target=self._name,
            subject=subject,
            agents=tuple(agents),
            issued_at=self._clock(),
            reply_to=public_text(reply_key),
            settles=settles,
        )
        sealing = {id_: seen.beat.sealing for id_, seen in agents.items() if seen.beat}
        signer = self._signer()
        body = pack(order, content, recipients=sealing, key=signer.key, introductions=signer.introductions)
        share = self._deadline * _ANSWER_SHARE if seconds is None else seconds
        exchange = Exchange(
            self._channel,
            order,
            reply_key=reply_key,
            signing_keys=lambda agent: self._signing_keys(agent, agents),
            until=time.monotonic() + share,
        )
        return exchange.run(body)

    def _signing_keys(self, agent: str, asked: Mapping[str, SeenAgent]) -> Iterator[OKPKey]:
        """Yield an agent's key of the moment when it was asked, then its key now: it may have rolled."""
        seen = asked.get(agent)
        if seen is not None and seen.beat is not None:
            yield seen.beat.signing
        key = self._roster.signing_key(agent)
        if key is not None:
            yield key


def _read(read: Callable[[], T], name: str) -> T:
    try:
        return read()
    except (Untrusted, KeyError) as error:
        raise IdpMisconfigured(f"{name}: an agent's answer has another form") from error
