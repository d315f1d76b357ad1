"""What is kept of a held sign-in, and how it is written down. The secret itself is not among it."""

import datetime as dt
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from gateway.interception.authorization_request import ReleasePlan
from idp_plugin.base import SignIn, Subject


class HoldGone(Exception):
    """Nothing is held under this id for this browser: expired, released already, or not its own."""


@dataclass(frozen=True, slots=True)
class KeptHold:
    """A hold just made."""

    id: str
    secret: str = field(repr=False)
    """For the browser's cookie only; kept nowhere else."""


@dataclass(frozen=True, slots=True)
class HeldSignIn:
    """What waits for a person."""

    id: str
    sign_in: SignIn
    application: str
    """Origin of the relying party, or `scheme:` of an installed application; for showing."""
    plan: ReleasePlan
    held_at: dt.datetime
    """Aware UTC."""
    parked_until: dt.datetime
    """Aware UTC; when the held answer is of no use any more."""
    target: str = field(default="", repr=False)
    """Path and query of the authorization request; empty where it is unknown."""


def _secret_digest(secret: str) -> str:
    return hashlib.sha256(b"sparekey hold " + secret.encode()).hexdigest()


def dump(held: HeldSignIn, secret: str) -> bytes:
    """Return the record of a hold: readable for us, and useless without the secret."""
    sign_in = held.sign_in
    record = {
        "secret": _secret_digest(secret),
        "issuer": sign_in.subject.source,
        "subject": sign_in.subject.id,
        "session_id": sign_in.session_id,
        "client_id": sign_in.client_id,
        "username": sign_in.username,
        "groups": _listed(sign_in.groups),
        "roles": _listed(sign_in.roles),
        "amr": sign_in.amr,
        "acr": sign_in.acr,
        "verified_by": sign_in.verified_by,
        "protocol": sign_in.protocol,
        "client_address": sign_in.client_address,
        "application": held.application,
        "plan": held.plan,
        "held_at": held.held_at.timestamp(),
        "parked_until": held.parked_until.timestamp(),
        "target": held.target,
    }
    return json.dumps(record).encode()


def load(hold_id: str, secret: str, found: bytes | None) -> HeldSignIn:
    """Return what a record says, for the browser with the secret.

    Raises:
        HoldGone: No record, or another secret.
    """
    if found is None:
        raise HoldGone
    record: dict[str, Any] = json.loads(found)
    if not hmac.compare_digest(record["secret"], _secret_digest(secret)):
        raise HoldGone
    sign_in = SignIn(
        Subject(record["issuer"], record["subject"]),
        record["session_id"],
        record["client_id"],
        username=record["username"],
        groups=_set(record["groups"]),
        roles=_set(record["roles"]),
        amr=tuple(record["amr"]),
        acr=record["acr"],
        verified_by=record["verified_by"],
        protocol=record["protocol"],
        client_address=record["client_address"],
    )
    return HeldSignIn(
        hold_id,
        sign_in,
        record["application"],
        ReleasePlan(record["plan"]),
        dt.datetime.fromtimestamp(record["held_at"], dt.UTC),
        dt.datetime.fromtimestamp(record["parked_until"], dt.UTC),
        record["target"],
    )


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _set(listed: list[str] | None) -> frozenset[str] | None:
    return None if listed is None else frozenset(listed)
