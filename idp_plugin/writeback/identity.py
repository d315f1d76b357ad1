"""An agent's own keys and what it pinned, in one file on its disk.

Rolling replaces keys: the new one is announced in the next heartbeat, the old private half is overwritten
once no order that was sealed to it can still be on its way.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.writeback.keys import (
    Untrusted,
    new_sealing_key,
    new_signing_key,
    private_key,
    private_text,
    public_key,
    public_text,
    succession,
)
from idp_plugin.writeback.order import LIFE, SKEW

FILE = "agent.json"
OLD_KEY_LIVES = LIFE + SKEW + dt.timedelta(seconds=60)
"""After a roll: until the gateway has read two heartbeats, and what it sealed before has expired."""
ROLLING_RESTART = dt.timedelta(minutes=15)
"""For so long the gateway's key before the present one is believed as well: one process of it is restarted
after the other, and those that still have the old key must not be without agents meanwhile."""
_MOST_INTRODUCTIONS = 8


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One key to which envelopes are sealed."""

    key: OKPKey = field(repr=False)
    made_at: dt.datetime
    replaced_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class FormerGateway:
    """The gateway's key before the present one."""

    key: OKPKey
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Who an agent is, and whom it believes."""

    id: str
    directory: str
    gateway: OKPKey
    """The gateway's public key as pinned."""
    signing: OKPKey = field(repr=False)
    sealing: tuple[SealingKey, ...]
    """Newest first; only the first is announced."""
    generation: int = 1
    """Grows with every roll, so that an old heartbeat cannot bring an old key back."""
    introductions: tuple[str, ...] = ()
    """How earlier signing keys speak for the present one, oldest first."""
    former: FormerGateway | None = None

    def sealing_keys(self) -> tuple[OKPKey, ...]:
        """Return the keys that may still open something."""
        return tuple(each.key for each in self.sealing)

    def pinned(self, gateway: OKPKey, now: dt.datetime) -> "AgentIdentity":
        """Return the identity that believes the gateway's next key, and for a while the one before it."""
        return replace(self, gateway=gateway, former=FormerGateway(self.gateway, now + ROLLING_RESTART))

    def rolled(self, now: dt.datetime, *, signing_too: bool = False) -> "AgentIdentity":
        """Return the identity with a new sealing key, and where asked for a new signing key."""
        old, *older = self.sealing
        keys = (SealingKey(new_sealing_key(), now), replace(old, replaced_at=now), *older)
        changed = replace(self, sealing=keys, generation=self.generation + 1)
        if not signing_too:
            return changed
        new = new_signing_key()
        said = (*self.introductions, succession(self.signing, new))[-_MOST_INTRODUCTIONS:]
        return replace(changed, signing=new, introductions=said)

    def forgotten(self, now: dt.datetime) -> "AgentIdentity":
        """Return the identity without the keys that nothing can be sealed to any more."""
        kept = tuple(
            each
            for each in self.sealing
            if each.replaced_at is None or each.replaced_at + OLD_KEY_LIVES > now
        )
        return self if kept == self.sealing else replace(self, sealing=kept)


def new_identity(directory: str, now: dt.datetime) -> AgentIdentity:
    """Return fresh keys of an agent that has not joined yet; its gateway is not known."""
    signing = new_signing_key()
    return AgentIdentity("", directory, signing, signing, (SealingKey(new_sealing_key(), now),))


class IdentityFile:
    """The file; changes are on disk before they are used. Thread-safe."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._file = state / FILE
        self._lock = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether this agent has joined."""
        return self._file.exists()

    def read(self) -> AgentIdentity:
        """Return the identity.

        Raises:
            IdpMisconfigured: There is none, or it cannot be read.
        """
        try:
            return _from_json(json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError as error:
            raise IdpMisconfigured(f"{self._state}: this agent has not joined") from error
        except (OSError, ValueError, KeyError, Untrusted) as error:
            raise IdpMisconfigured(f"{self._file}: cannot be read") from error

    def write(self, identity: AgentIdentity) -> None:
        """Replace the file; what was in it is overwritten on the disk as well as the disk allows."""
        with self._lock:
            fresh = self._file.with_suffix(".new")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as output:
                json.dump(_to_json(identity), output)
                output.flush()
                os.fsync(output.fileno())
            old = os.open(self._file, os.O_WRONLY) if self._file.exists() else None
            fresh.replace(self._file)
            if old is not None:
                # Security: a rolled key must not be found on the disk later (S20).
                with os.fdopen(old, "wb") as file:
                    file.write(b"\0" * os.fstat(file.fileno()).st_size)
                    file.flush()
                    os.fsync(file.fileno())


@contextlib.contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Hold an agent's folder for this process.

    Raises:
        IdpMisconfigured: Another process has it, or it cannot be used.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise IdpMisconfigured(f"{state}: {error.strerror}") from error
    with lock:
        try:
            # Two processes with one replay list would each do what the other has begun.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise IdpMisconfigured(f"{state}: another agent runs here") from error
        yield


def _to_json(identity: AgentIdentity) -> dict[str, Any]:
    return {
        "id": identity.id,
        "directory": identity.directory,
        "gateway": public_text(identity.gateway),
        "signing": _pair(identity.signing),
        "sealing": [
            {
                **_pair(each.key),
                "made_at": each.made_at.isoformat(),
                "replaced_at": each.replaced_at.isoformat() if each.replaced_at else None,
            }
            for each in identity.sealing
        ],
        "generation": identity.generation,
        "introductions": list(identity.introductions),
        "former": _former_to_json(identity.former),
    }


def _former_to_json(former: FormerGateway | None) -> dict[str, str] | None:
    return {"key": public_text(former.key), "until": former.until.isoformat()} if former else None


def _former_from_json(document: dict[str, str] | None) -> FormerGateway | None:
    if document is None:
        return None
    until = dt.datetime.fromisoformat(document["until"])
    return FormerGateway(public_key(document["key"], "Ed25519"), until)


def _from_json(document: dict[str, Any]) -> AgentIdentity:
    return AgentIdentity(
        id=document["id"],
        directory=document["directory"],
        gateway=public_key(document["gateway"], "Ed25519"),
        signing=_key(document["signing"], "Ed25519"),
        sealing=tuple(
            SealingKey(
                _key(each, "X25519"),
                dt.datetime.fromisoformat(each["made_at"]),
                dt.datetime.fromisoformat(each["replaced_at"]) if each["replaced_at"] else None,
            )
            for each in document["sealing"]
        ),
        generation=document["generation"],
        introductions=tuple(document["introductions"]),
        former=_former_from_json(document.get("former")),
    )


def _pair(key: OKPKey) -> dict[str, str]:
    return {"public": public_text(key), "private": private_text(key)}


def _key(pair: dict[str, str], curve: str) -> OKPKey:
    return private_key(pair["private"], pair["public"], curve)
