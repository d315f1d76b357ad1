"""Heartbeats: every 30 seconds an agent says, signed, which keys it uses and what it can reach."""

import datetime as dt
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import OKPKey

from idp_plugin.writeback.identity import AgentIdentity
from idp_plugin.writeback.keys import (
    Untrusted,
    json_object,
    public_key,
    public_text,
    sign,
    verify_or_succeeded,
)

EVERY = dt.timedelta(seconds=30)
_LARGEST_GENERATION = 2**31 - 1
_LONGEST_WORD = 200
PROTOCOL = 2
"""Grows when an agent and a gateway of different numbers no longer understand each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an agent found out about itself."""

    servers: Mapping[str, bool] = field(default_factory=dict)
    """Each of the directory's servers, and whether it answers."""
    missing_rights: Sequence[str] = ()
    """Identifiers of what the service account lacks; empty where nothing is known to lack."""
    canary: str = ""
    """`works`, `fails`, or empty where there is none or it was not tried yet."""
    canary_at: str = ""
    """When it was tried, in ISO 8601; empty for never."""
    stopped: bool = False
    """Whether the kill switch is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A heartbeat that was verified."""

    agent: str
    at: dt.datetime
    """By the agent's clock."""
    version: str
    protocol: int
    generation: int
    sealing: OKPKey
    signing: OKPKey
    """The key that signed it: as pinned, or one that the pinned one leads to."""
    health: Health


def version() -> str:
    """Return this installation's version."""
    return importlib.metadata.version("sparekey")


def make(identity: AgentIdentity, health: Health, now: dt.datetime) -> bytes:
    """Return a heartbeat as a channel carries it."""
    claims = {
        "agent": identity.id,
        "directory": identity.directory,
        "at": round(now.timestamp() * 1000),
        "version": version(),
        "protocol": PROTOCOL,
        "generation": identity.generation,
        "sealing": public_text(identity.sealing[0].key),
        "health": {
            "servers": dict(health.servers),
            "missing_rights": list(health.missing_rights),
            "canary": health.canary,
            "canary_at": health.canary_at,
            "stopped": health.stopped,
        },
    }
    signed = sign("beat", claims, identity.signing)
    return json.dumps({"beat": signed, "introductions": identity.introductions}).encode()


def read(body: bytes, *, agent: str, directory: str, pinned: OKPKey) -> Beat:
    """Return a heartbeat, once this agent's key vouches for it.

    Raises:
        Untrusted: Another agent's, another directory's, or altered.
    """
    parts = json_object(body)
    try:
        token, statements = str(parts["beat"]), tuple(map(str, parts["introductions"]))
        claims, key = verify_or_succeeded("beat", token, statements, pinned)
        if (claims["agent"], claims["directory"]) != (agent, directory):
            raise Untrusted("agent")
        return _beat(claims, key)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        # Security: an agent in the wrong hands must not stop its gateway from seeing the others.
        raise Untrusted("form") from error


def _beat(claims: Mapping[str, Any], key: OKPKey) -> Beat:
    health, generation = claims["health"], int(claims["generation"])
    if not 0 < generation <= _LARGEST_GENERATION:
        raise Untrusted("generation")
    return Beat(
        agent=claims["agent"],
        at=dt.datetime.fromtimestamp(claims["at"] / 1000, dt.UTC),
        version=_word(claims["version"]),
        protocol=int(claims["protocol"]),
        generation=generation,
        sealing=public_key(claims["sealing"], "X25519"),
        signing=key,
        health=Health(
            servers={_word(name): bool(reached) for name, reached in health["servers"].items()},
            missing_rights=tuple(map(_word, health["missing_rights"])),
            canary=_word(health["canary"]),
            canary_at=_word(health["canary_at"]),
            stopped=bool(health["stopped"]),
        ),
    )


def _word(value: object) -> str:
    """Return a text as operators may see it: no control characters for their terminals, and an end."""
    return "".join(letter for letter in str(value)[:_LONGEST_WORD] if letter.isprintable())
