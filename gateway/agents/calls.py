"""What an agent calls over HTTPS, believed and done: its own directory's streams, and nothing else."""

import datetime as dt
import re
import threading
from collections.abc import Callable
from typing import Any

from gateway.agents.writeback import Writeback
from idp_plugin.writeback import joining
from idp_plugin.writeback.channel import AgentEnd, Delivery
from idp_plugin.writeback.guarded_streams import TooLarge
from idp_plugin.writeback.https_channel import LONGEST_POLL
from idp_plugin.writeback.keys import (
    Claims,
    Untrusted,
    json_object,
    public_key,
    public_text,
    unverified,
    verify_or_succeeded,
)
from idp_plugin.writeback.order import SKEW, is_id
from store.agents import JoinedAgent
from store.audit import AuditAction

_PAUSE_SECONDS = 1.0
_REFUSAL_TOLD_EVERY = dt.timedelta(minutes=10)
_LONGEST_DELIVERY = 40

Once = Callable[[str, dt.timedelta], bool]
"""Tells whether a nonce is seen for the first time within a duration."""


class CallRefused(Exception):
    """Not an agent of ours, or not now; `why` is an identifier."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Calls:
    """Believes and performs calls. Thread-safe."""

    def __init__(self, writeback: Writeback, once: Once, *, polls: int) -> None:
        """Take the parts.

        Args:
            once: See `Once`; asked for believed calls only.
            polls: How many may wait at the same time; further ones are answered at once.
        """
        self._writeback = writeback
        self._once = once
        self._polls = threading.BoundedSemaphore(polls)

    def join(self, body: bytes) -> dict[str, Any]:
        """Let an agent join.

        Raises:
            CallRefused: The token is unknown, used or too old.
        """
        now = self._writeback.clock()
        try:
            wish = joining.read(str(_object(body).get("join")))
        except Untrusted as untrusted:
            raise CallRefused(untrusted.why) from untrusted
        # Security: strangers who try must not hold the database's pen.
        with self._writeback.database.reading() as transaction:
            is_invited = transaction.agents.is_invited(wish.secret, now)
        if not is_invited:
            self._note_refusal(now)
            raise CallRefused("token")
        with self._writeback.database.transaction() as transaction:
            agent = transaction.agents.accept(
                wish.secret, name=wish.name, signing=public_text(wish.signing), now=now
            )
            if agent:
                detail = {"agent": agent.id, "directory": agent.directory}
                transaction.audit.record(AuditAction.AGENT_JOINED, now=now, detail=detail)
        if agent is None:
            self._note_refusal(now)
            raise CallRefused("token")
        return {"welcome": joining.welcome(agent.id, agent.directory, wish, self._writeback.signer.key)}

    def _note_refusal(self, now: dt.datetime) -> None:
        # Strangers may try; they must not fill the audit.
        if self._once("join refused", _REFUSAL_TOLD_EVERY):
            with self._writeback.database.transaction() as transaction:
                transaction.audit.record(AuditAction.AGENT_REFUSED, now=now)

    def perform(self, body: bytes) -> dict[str, Any]:
        """Do what an agent calls for.

        Raises:
            CallRefused: Not signed by a pinned key, too old, seen before, or not understood.
            ChannelDown: The streams do not answer.
        """
        try:
            agent, claims = self._believed(_object(body))
            end = self._writeback.agent_end(agent.directory, agent.id)
            return self._done(end, claims)
        except Untrusted as untrusted:
            raise CallRefused(untrusted.why) from untrusted
        except TooLarge as error:
            raise CallRefused("size") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CallRefused("form") from error

    def _believed(self, document: dict[str, Any]) -> tuple[JoinedAgent, Claims]:
        token = str(document["call"])
        stated = str(unverified(token).get("agent"))
        # Security: a stranger's text goes into no query unless it can be an agent's id at all.
        if not re.fullmatch(r"[0-9a-f]{16}", stated):
            raise CallRefused("unknown")
        with self._writeback.database.reading() as transaction:
            agent = transaction.agents.get(stated)
        if agent is None or agent.directory not in self._writeback.directories:
            raise CallRefused("unknown")
        statements = tuple(map(str, document["introductions"]))
        pinned = public_key(agent.signing, "Ed25519")
        claims, _ = verify_or_succeeded("call", token, statements, pinned)
        at = dt.datetime.fromtimestamp(claims["at"] / 1000, dt.UTC)
        if abs(at - self._writeback.clock()) > SKEW:
            raise CallRefused("clock")
        # Security: a call that somebody recorded is not done again.
        if claims["agent"] != agent.id or not self._once(f"{agent.id}:{claims['nonce']}", 2 * SKEW):
            raise CallRefused("replayed")
        return agent, claims

    def _done(self, end: AgentEnd, claims: Claims) -> dict[str, Any]:
        match claims["call"]:
            case "receive":
                return self._received(end, min(float(claims["wait"]), LONGEST_POLL.total_seconds()))
            case "claim":
                return {"claimed": end.claim(_delivery(claims), _order(claims))}
            case "answer":
                end.answer(_delivery(claims), _order(claims), str(claims["body"]).encode())
            case "drop":
                end.drop(_delivery(claims))
            case "beat":
                end.beat(str(claims["body"]).encode())
            case _:
                raise CallRefused("call")
        return {}

    def _received(self, end: AgentEnd, seconds: float) -> dict[str, Any]:
        # Security: waiting polls must leave threads for answers and heartbeats.
        if not self._polls.acquire(blocking=False):
            # Nor may those who wait keep others from what is there for them.
            return {"pause": _PAUSE_SECONDS, **_delivered(end.receive(dt.timedelta(0)))}
        try:
            return _delivered(end.receive(dt.timedelta(seconds=max(seconds, 0))))
        finally:
            self._polls.release()


def _delivered(found: Delivery | None) -> dict[str, Any]:
    if found is None:
        return {"delivery": None}
    return {"delivery": {"id": found.id, "body": found.body.decode("ascii", "replace"), "run": found.run}}


def _object(body: bytes) -> dict[str, Any]:
    try:
        return json_object(body)
    except Untrusted as untrusted:
        raise CallRefused(untrusted.why) from untrusted


def _order(claims: Claims) -> str:
    # Security: it becomes part of a key's name.
    if not is_id(str(claims["order"])):
        raise CallRefused("form")
    return str(claims["order"])


def _delivery(claims: Claims) -> Delivery:
    number = str(claims["delivery"])
    if len(number) > _LONGEST_DELIVERY or not all(letter in "0123456789-" for letter in number):
        raise CallRefused("form")
    return Delivery(number, b"", str(claims.get("run", "")))
