"""What the gateway asks of an agent: signed facts, and beside them the sealed password.

An order is a JWS by the gateway over the facts and the hash of the envelope; the facts are also the
envelope's associated data, so that neither can be used with another (S20).
"""

import datetime as dt
import enum
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import OKPKey

from idp_plugin.writeback import envelope
from idp_plugin.writeback.keys import (
    Claims,
    Untrusted,
    json_object,
    public_key,
    sign,
    verify_or_succeeded,
)

LIFE = dt.timedelta(seconds=30)
"""Nobody begins an order, or opens its envelope, later than this."""
SKEW = dt.timedelta(seconds=60)
"""How far an agent's clock and the gateway's may differ; beyond, nothing is done."""
_ID_BYTES = 16


class OrderKind(enum.StrEnum):
    """What is asked for."""

    SET_PASSWORD = "set_password"  # noqa: S105 - a kind of order
    CHANGE_PASSWORD = "change_password"  # noqa: S105 - a kind of order
    UNLOCK = "unlock"
    REQUIRE_CHANGE = "require_change"
    CAPABILITIES = "capabilities"
    FIND = "find"
    GET = "get"
    SETTLE = "settle"
    """What became of an earlier order whose answer never came?"""

    @property
    def writes(self) -> bool:
        """Whether the directory may be changed by it."""
        return self in _WRITES


_WRITES = frozenset(
    {OrderKind.SET_PASSWORD, OrderKind.CHANGE_PASSWORD, OrderKind.UNLOCK, OrderKind.REQUIRE_CHANGE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The facts that are signed."""

    id: str
    """128 random bits in hex: one order is done once."""
    kind: OrderKind
    target: str
    """The directory's name in the gateway's settings."""
    subject: str
    """The account's immutable id there; empty for a look-up by name."""
    agents: tuple[str, ...]
    """Who may do it: those to whom it was sealed."""
    issued_at: dt.datetime
    reply_to: str
    """A key of this order alone, to which the answer is sealed."""
    settles: str = ""
    """Of `settle`: the earlier order's id."""

    @property
    def expires_at(self) -> dt.datetime:
        """After this nobody begins it."""
        return self.issued_at + LIFE

    def claims(self) -> Claims:
        """Return the facts as JSON values."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "target": self.target,
            "subject": self.subject,
            "agents": list(self.agents),
            "issued": _milliseconds(self.issued_at),
            "expires": _milliseconds(self.expires_at),
            "reply_to": self.reply_to,
            "settles": self.settles,
        }


@dataclass(frozen=True, slots=True)
class Package:
    """An order as a channel carries it."""

    order: str
    """The JWS."""
    envelope: str = field(repr=False)
    introductions: tuple[str, ...] = ()
    """How keys that the gateway had before speak for the one that signed."""

    def to_bytes(self) -> bytes:
        """Return what the channel carries."""
        return json.dumps(
            {"order": self.order, "envelope": self.envelope, "introductions": self.introductions}
        ).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Package":
        """Read what the channel carried.

        Raises:
            Untrusted: It has another form.
        """
        parts = json_object(body)
        try:
            return cls(str(parts["order"]), str(parts["envelope"]), tuple(map(str, parts["introductions"])))
        except (KeyError, TypeError) as error:
            raise Untrusted("form") from error


def new_id() -> str:
    """Return a fresh order id."""
    return secrets.token_hex(_ID_BYTES)


def is_id(text: str) -> bool:
    """Tell whether a text can be an order's id; it becomes part of key names."""
    return len(text) == 2 * _ID_BYTES and all(character in "0123456789abcdef" for character in text)


def pack(
    order: Order,
    content: Mapping[str, str],
    *,
    recipients: Mapping[str, OKPKey],
    key: OKPKey,
    introductions: tuple[str, ...] = (),
) -> bytes:
    """Seal the content, sign the order.

    Args:
        content: The passwords or the typed name; secret.
        recipients: The agents' sealing keys by agent id; the ids of `order.agents`.
        key: The gateway's signing key.
        introductions: See `Package`.
    """
    facts = order.claims()
    sealed = envelope.seal(content, list(recipients.values()), associated=_canonical(facts))
    signed = sign("order", {**facts, "sealed": _hash(sealed)}, key)
    return Package(signed, sealed, introductions).to_bytes()


def trusted(package: Package, pinned: OKPKey) -> tuple[Order, OKPKey]:
    """Return the order, once everything about it is proved but its time, and the key that signed it.

    Args:
        package: As it came.
        pinned: The gateway's key as this agent knows it; one that it leads to is as good.

    Raises:
        Untrusted: Not the gateway's, altered, or with another's envelope.
    """
    claims, key = verify_or_succeeded("order", package.order, package.introductions, pinned)
    if claims.pop("sealed", None) != _hash(package.envelope):
        raise Untrusted("envelope")
    try:
        order = _order(claims)
    except (KeyError, ValueError, TypeError) as error:
        raise Untrusted("form") from error
    # Nothing is done that could not be answered.
    public_key(order.reply_to, "X25519")
    if order.claims() != claims or not is_id(order.id) or (order.settles and not is_id(order.settles)):
        raise Untrusted("form")
    return order, key


def content_of(package: Package, order: Order, keys: tuple[OKPKey, ...]) -> Mapping[str, str]:
    """Open a trusted order's envelope.

    Raises:
        Untrusted: Not sealed to any of these keys, or for another order.
    """
    return envelope.unseal(package.envelope, keys, associated=_canonical(order.claims()))


def _order(claims: Mapping[str, Any]) -> Order:
    return Order(
        id=claims["id"],
        kind=OrderKind(claims["kind"]),
        target=claims["target"],
        subject=claims["subject"],
        agents=tuple(claims["agents"]),
        issued_at=dt.datetime.fromtimestamp(claims["issued"] / 1000, dt.UTC),
        reply_to=claims["reply_to"],
        settles=claims["settles"],
    )


def _canonical(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _hash(sealed: str) -> str:
    return hashlib.sha256(sealed.encode()).hexdigest()


def _milliseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
