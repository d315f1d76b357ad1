"""Another identity: a sign-in at a further OpenID provider that the person linked.

The sign-in happens in the pages, which hand over what the provider stated in a sealed answer: bound to the
one attempt or question that it was begun for, so that nothing that a browser sends can pose as it.
"""

import base64
import binascii
import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from flows.authenticators.base import Prepared, Question, Unsent, Waiting, Wish
from flows.errors import CodeExpired, NotPossible
from flows.registering.binding import require_room
from flows.registering.member import NewIdentity
from store.database import Transaction
from store.errors import SealBroken
from store.vault import Vault

NAME = "identity"
_CONTEXT = "identity answer"
_GOOD_FOR = dt.timedelta(minutes=5)
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """Who somebody is elsewhere; also what is kept."""

    provider: str
    """As the settings call it."""
    issuer: str
    subject: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a provider stated just now."""

    identity: LinkedIdentity
    at: dt.datetime
    nonce: str
    """So that it counts once."""


_KEPT = TypeAdapter(LinkedIdentity)
_ANSWER = TypeAdapter(_Answer)
_NAMES = TypeAdapter(tuple[str, ...])


class LinkedIdentities(Unsent):
    """The secret is a `LinkedIdentity` as JSON."""

    name = NAME

    def __init__(self, vault: Vault, issuers: Mapping[str, str]) -> None:
        """Take the issuers by the names of their providers, in the order in which they are offered."""
        self._vault = vault
        self._issuers = dict(issuers)

    def mask(self, secret: bytes) -> str:
        """Return the provider's name."""
        return _KEPT.validate_json(secret).provider

    def lookups(self, secret: bytes) -> tuple[str, ...]:
        """Return the digests by which people who link the same identity are counted."""
        kept = _KEPT.validate_json(secret)
        return self._vault.digests(f"{kept.issuer}\n{kept.subject}", NAME)

    def ask(self, question: Question, transaction: Transaction, *, now: dt.datetime) -> str:
        """Return the names of the providers: one's own where they may be told, else all."""
        del transaction, now
        own = {_KEPT.validate_json(each.secret).issuer for each in question.candidates()}
        names = tuple(name for name, issuer in self._issuers.items() if issuer in own or not own)
        return _NAMES.dump_json(names).decode()

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the identity that was signed in to, and use the answer up; see `Kind.prove`."""
        stated = _opened(self._vault, question.bound_to, answer, now)
        candidates = question.candidates()
        if stated is None:
            return ()
        mine = [each for each in candidates if _is_same(_KEPT.validate_json(each.secret), stated.identity)]
        if not mine:
            return ()
        if not transaction.spent.spend(NAME, stated.nonce, now=now):
            raise CodeExpired
        return tuple(each.id for each in mine)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return the provider's name, which was chosen."""
        del now
        require_room(self.name, wish.own)
        if wish.typed not in self._issuers:
            raise NotPossible("not_covered")
        return Prepared(wish.typed.encode())

    def shown(self, waiting: Waiting, wish: Wish) -> NewIdentity:
        """Return where the person signs in."""
        del wish
        return NewIdentity(waiting.secret.decode())

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return the identity, where the chosen provider stated one for this very binding."""
        stated = _opened(self._vault, waiting.id, answer, now)
        if stated is None or stated.identity.provider != waiting.secret.decode():
            return None
        return _KEPT.dump_json(stated.identity)


def sealed_answer(vault: Vault, identity: LinkedIdentity, *, bound_to: str, now: dt.datetime) -> str:
    """Return what a provider stated as an answer for one attempt or question; only made by the pages.

    Args:
        bound_to: The attempt's or the question's id.
    """
    answer = _Answer(identity, now, secrets.token_hex(16))
    sealed = vault.seal(_ANSWER.dump_json(answer), _context(bound_to))
    return base64.urlsafe_b64encode(sealed).decode()


def _opened(vault: Vault, bound_to: str, answer: str, now: dt.datetime) -> _Answer | None:
    if len(answer) > _LONGEST:
        return None
    try:
        sealed = base64.b64decode(answer.encode(), altchars=b"-_", validate=True)
        stated = _ANSWER.validate_json(vault.open(sealed, _context(bound_to)))
    except (binascii.Error, SealBroken, ValueError):
        return None
    return stated if now - stated.at <= _GOOD_FOR else None


def _is_same(kept: LinkedIdentity, stated: LinkedIdentity) -> bool:
    # The provider's name is only what people read: whoever is asked for states its issuer.
    return (kept.issuer, kept.subject) == (stated.issuer, stated.subject)


def _context(bound_to: str) -> str:
    return f"{_CONTEXT}:{bound_to}"
