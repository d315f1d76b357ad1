"""Recovery codes: a set that was saved earlier, on paper or in a file; each code works once.

The secret of a set holds keyed digests of its codes under a key of its own, so that a rotation of the vault's
keys, which seals the secret anew, voids no paper.
"""

import datetime as dt
import hmac
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from flows.authenticators.base import Prepared, Question, Unsent, Waiting, Wish
from flows.errors import CodeExpired
from flows.registering.binding import require_room
from flows.registering.member import NewCodes
from store.audit import AuditAction
from store.authenticators import Authenticator
from store.database import Transaction

NAME = "recovery_codes"
CODES = 10
_GROUPS = 3
_GROUP = 5
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Source: Crockford's Base32: 5 bits a letter, without I, L, O and U; 75 bits a code."""
_READ_AS = str.maketrans("ILOU", "110V")
_LONGEST_ANSWER = 64
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class CodeSet:
    """What is kept of one set; used codes stay, so that typing one again can be told from a wrong one."""

    key: str = field(repr=False)
    """32 random bytes in hexadecimal."""
    unused: tuple[str, ...] = field(repr=False)
    """Digests: HMAC-SHA-256 in hexadecimal."""
    used: tuple[str, ...] = field(default=(), repr=False)

    def digest_of(self, answer: str) -> str:
        """Return the digest that an answer as typed matches, compared in constant time; may be empty."""
        given = _digest(self.key, plain(answer))
        # Security: every digest is compared, and a set always has as many.
        matching = [each for each in (*self.unused, *self.used) if hmac.compare_digest(each, given)]
        return matching[0] if matching else ""

    def without(self, digest: str) -> "CodeSet":
        """Return the set with one code used."""
        unused = tuple(each for each in self.unused if each != digest)
        return replace(self, unused=unused, used=(*self.used, digest))


_JSON = TypeAdapter(CodeSet)


class RecoveryCodes(Unsent):
    """The secret is a `CodeSet` as JSON."""

    name = NAME
    is_told = True

    def __init__(self) -> None:
        self._decoy_secret = secret_of(new_codes())

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the set that the code is of, and use the code up; see `Kind.prove`."""
        candidates = question.candidates()
        # Security: a decoy computes and compares as much as a person with one set.
        kept = [each.secret for each in candidates] or [self._decoy_secret]
        digests = [_JSON.validate_json(secret).digest_of(answer) for secret in kept]
        matching = [pair for pair in zip(candidates, digests, strict=False) if pair[1]]
        if not matching:
            return ()
        authenticator, digest = matching[0]
        if not _use(transaction, authenticator, digest, now=now):
            raise CodeExpired
        return (authenticator.id,)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return new codes, not yet hidden: they are shown until the person says that they are saved."""
        del now
        voided = self.voids(wish.own, proved=wish.has_proved)
        require_room(NAME, [each for each in wish.own if each not in voided])
        return Prepared("\n".join(new_codes()).encode())

    def shown(self, waiting: Waiting, wish: Wish) -> NewCodes:
        """Return the codes, and whether earlier ones end with them."""
        voided = self.voids(wish.own, proved=wish.has_proved)
        return NewCodes(
            codes=tuple(waiting.secret.decode().split()),
            voids_earlier=any(not is_used_up(each) for each in voided),
            made_at=waiting.asked_at,
        )

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return digests alone, where nothing was answered: pressing the button says that they are saved."""
        del now
        return None if answer else secret_of(waiting.secret.decode().split())

    def voids(self, own: tuple[Authenticator, ...], *, proved: bool) -> tuple[Authenticator, ...]:
        """Return the earlier sets that go when a new one comes.

        Without a proof of an existing method only those that are used up: a thief voids nobody's paper (S1).
        """
        sets = [each for each in own if each.kind == NAME]
        return tuple(each for each in sets if proved or is_used_up(each))

    def left(self, secret: bytes) -> int | None:
        """Return how many codes were not used yet."""
        return left(secret)


def _use(transaction: Transaction, authenticator: Authenticator, digest: str, *, now: dt.datetime) -> bool:
    """Use one code up and record it; False when it was used before, or its set is gone."""
    if digest not in _JSON.validate_json(authenticator.secret).unused:
        return False
    if not transaction.spent.spend("recovery_code", f"{authenticator.id}:{digest}", now=now):
        return False
    changed = transaction.authenticators.change_secret(
        authenticator.id, lambda secret: _JSON.dump_json(_JSON.validate_json(secret).without(digest))
    )
    if changed is None:
        return False
    if not left(changed.secret):
        transaction.authenticators.use_up(authenticator.id, now=now)
    transaction.audit.record(
        AuditAction.RECOVERY_CODE_USED,
        now=now,
        person_id=authenticator.person_id,
        detail={"number": authenticator.number, "left": left(changed.secret)},
    )
    return True


def new_codes() -> tuple[str, ...]:
    """Return ten codes like `K7QM4-W2XP9-DT3AB`."""
    return tuple(new_code() for _ in range(CODES))


def new_code() -> str:
    """Return one such code."""
    return "-".join(_group() for _ in range(_GROUPS))


def _group() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_GROUP))


def plain(answer: str) -> str:
    """Return the letters of a code as typed: in any case, with or without dashes and blanks.

    Letters that are never in a code are read as those that they look like: O as 0, I and L as 1, U as V.
    Anything else that is no letter of a code stays, so that it matches nothing.
    """
    folded = unicodedata.normalize("NFKC", answer[:_LONGEST_ANSWER]).upper()
    kept = "".join(letter for letter in folded if unicodedata.category(letter) not in {"Pd", "Cf"})
    return "".join(kept.split()).translate(_READ_AS)


def is_complete(answer: str) -> bool:
    """Tell whether an answer as typed can be a code at all."""
    letters = plain(answer)
    return len(letters) == _GROUPS * _GROUP and set(letters) <= set(_LETTERS)


def secret_of(codes: Iterable[str]) -> bytes:
    """Return what is kept of new codes."""
    key = secrets.token_hex(_KEY_BYTES)
    return _JSON.dump_json(CodeSet(key, tuple(_digest(key, plain(code)) for code in codes)))


def left(secret: bytes) -> int:
    """Return how many codes of a set were not used yet."""
    return len(_JSON.validate_json(secret).unused)


def is_used_up(authenticator: Authenticator) -> bool:
    """Tell whether an authenticator is a set whose last code was used."""
    return authenticator.kind == NAME and not left(authenticator.secret)


def _digest(key: str, letters: str) -> str:
    return hmac.digest(bytes.fromhex(key), letters.encode("utf-8", "surrogatepass"), "sha256").hex()
