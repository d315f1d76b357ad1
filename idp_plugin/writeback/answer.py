"""What an agent says came of an order: signed by the agent, and sealed to the order's own key.

Everything is sealed, for whoever reads the channel: why a write was refused names entries and rights.
"""

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import OKPKey

from idp_plugin.errors import (
    IdpError,
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.writeback import envelope
from idp_plugin.writeback.keys import Untrusted, public_key, sign, unverified, verify
from idp_plugin.writeback.order import Order


class Outcome(enum.StrEnum):
    """What came of it."""

    DONE = "done"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - an outcome
    NOT_PERMITTED = "not_permitted"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - an outcome
    MISCONFIGURED = "misconfigured"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not_begun"
    """The agent itself said no, before the directory was asked; `why` says why."""


_OUTCOMES: Mapping[type[IdpError], Outcome] = {
    PasswordRefused: Outcome.PASSWORD_REFUSED,
    WrongPassword: Outcome.WRONG_PASSWORD,
    NotPermitted: Outcome.NOT_PERMITTED,
    OutcomeUnknown: Outcome.UNKNOWN,
    IdpUnavailable: Outcome.UNAVAILABLE,
    IdpError: Outcome.MISCONFIGURED,
}
"""The first that fits; special ones before general ones."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome with what belongs to it."""

    outcome: Outcome
    why: tuple[str, ...] = ()
    """Refusal reasons, the right that lacks, or the agent's own reason; identifiers, never sentences."""
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What was asked for."""

    @classmethod
    def of_error(cls, error: IdpError) -> "Answer":
        """Return what an adapter's error means to the gateway."""
        outcome = next(outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind))
        match error:
            case PasswordRefused(reasons=reasons):
                return cls(outcome, tuple(reason.value for reason in reasons))
            case NotPermitted(what=why) | IdpMisconfigured(what=why) | IdpUnavailable(server=why):
                return cls(outcome, (why,))
            case _:
                return cls(outcome)

    def raise_error(self) -> None:
        """Raise what the adapter raised at the agent; nothing where it was done."""
        why = self.why[0] if self.why else ""
        match self.outcome:
            case Outcome.DONE:
                return
            case Outcome.PASSWORD_REFUSED:
                raise PasswordRefused(tuple(_reason(each) for each in self.why) or (RefusalReason.OTHER,))
            case Outcome.WRONG_PASSWORD:
                raise WrongPassword
            case Outcome.NOT_PERMITTED:
                raise NotPermitted(why)
            case Outcome.MISCONFIGURED:
                raise IdpMisconfigured(why)
            case Outcome.UNKNOWN:
                raise OutcomeUnknown(why)
            case Outcome.UNAVAILABLE | Outcome.NOT_BEGUN:
                raise IdpUnavailable(why)


def pack(answer: Answer, order: Order, *, agent: str, key: OKPKey) -> bytes:
    """Seal an answer to the order's own key, and sign it."""
    recipient = public_key(order.reply_to, "X25519")
    said = {"outcome": answer.outcome.value, "why": list(answer.why), "content": answer.content}
    sealed = envelope.seal(said, [recipient], associated=_associated(order.id, agent))
    return sign("answer", {"order": order.id, "agent": agent, "sealed": sealed}, key).encode()


def stated_agent(body: bytes) -> str:
    """Return which agent an answer says it is of.

    Raises:
        Untrusted: It has another form.
    """
    return str(unverified(body.decode("ascii", "replace")).get("agent"))


def unpack(body: bytes, order: Order, *, agent: str, key: OKPKey, reply_key: OKPKey) -> Answer:
    """Return an answer to this order, once the agent's key vouches for it.

    Raises:
        Untrusted: Of somebody else, to another order, or altered.
    """
    claims = verify("answer", body.decode("ascii", "replace"), key)
    if claims.get("order") != order.id or claims.get("agent") != agent or agent not in order.agents:
        raise Untrusted("answer")
    sealed = str(claims.get("sealed"))
    said = envelope.unseal(sealed, [reply_key], associated=_associated(order.id, agent))
    try:
        return Answer(Outcome(said["outcome"]), tuple(map(str, said["why"])), dict(said["content"]))
    except (KeyError, ValueError, TypeError) as error:
        raise Untrusted("form") from error


def _associated(order_id: str, agent: str) -> bytes:
    return json.dumps(["answer", order_id, agent]).encode()


def _reason(text: str) -> RefusalReason:
    return RefusalReason(text) if text in set(RefusalReason) else RefusalReason.OTHER
