"""Registration codes: handed out to one person, who then adds ways back in that count at once (S1).

Whoever is signed in and types one has shown to the helpdesk who they are. It stands for the proof of an
existing method where none can be given any more, for ten minutes of one portal session; what is bound then
is marked, so that it is no second proof beside a helpdesk's code later (S23).
"""

import datetime as dt
import secrets
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from flows.abuse.throttle import Throttle
from flows.authenticators.recovery_codes import new_code, plain
from flows.errors import CodeExpired, WrongCode
from flows.registering.member import Member
from flows.registering.standing import Standing
from flows.registering.step_up import StepUp
from store.audit import AuditAction
from store.database import Database
from store.expiring import Expiring
from store.vault import Vault

KIND = "registration_code"
_STORED_AS = "registration code"
_DIGEST = "registration code"
_NO_CODE = "0" * 64


@dataclass(frozen=True, slots=True)
class HandedOut:
    """What is kept of a code."""

    id: str
    digest: str = field(repr=False)
    author: str
    until: dt.datetime


_JSON = TypeAdapter(HandedOut)


class HandedOutCodes:
    """The codes that are out; a person has one at most, and a newer one voids it (S16)."""

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring
        self._vault: Vault = expiring.vault

    def make(self, person_id: str, *, author: str, now: dt.datetime, lives: dt.timedelta) -> str:
        """Return a new code for a person; only its digest is kept."""
        code = new_code()
        digest = self._vault.digest(_bound(person_id, code), _DIGEST)
        kept = HandedOut(secrets.token_hex(16), digest, author, now + lives)
        self._expiring.put(_STORED_AS, person_id, _JSON.dump_json(kept), ttl=lives)
        return code

    def matching(self, person_id: str, answer: str, now: dt.datetime) -> HandedOut | None:
        """Return the person's code if this is it; compared in constant time, whether there is one or not."""
        stored = self._expiring.peek(_STORED_AS, person_id)
        kept = _JSON.validate_json(stored) if stored else None
        digest = kept.digest if kept else _NO_CODE
        fits = self._vault.digest_matches(_bound(person_id, answer), _DIGEST, digest)
        return kept if fits and kept and now < kept.until else None

    def drop(self, person_id: str) -> None:
        """Forget a person's code."""
        self._expiring.drop(_STORED_AS, person_id)


class Redeeming:
    """What a signed-in person does with a code."""

    def __init__(
        self, *, database: Database, codes: HandedOutCodes, step_up: StepUp, throttle: Throttle
    ) -> None:
        self._database = database
        self._codes = codes
        self._step_up = step_up
        self._throttle = throttle

    def redeem(self, member: Member, standing: Standing, answer: str, now: dt.datetime) -> None:
        """Take a code as typed for the proof of an existing method; raises as `Registration.redeem`."""
        person_id = standing.person.id
        counted = f"registration-code:{person_id}"
        left = self._throttle.answer(counted, now)
        kept = self._codes.matching(person_id, answer, now)
        self._use(person_id, kept, now)
        if kept is None:
            raise WrongCode(left)
        self._codes.drop(person_id)
        self._throttle.right(counted, counted, now)
        self._step_up.give(member, handed_out=True)

    def _use(self, person_id: str, kept: HandedOut | None, now: dt.datetime) -> None:
        """Use a code up in SQL, where a fail-over of Redis loses nothing (S16), and record the answer."""
        with self._database.transaction() as transaction:
            if kept and not transaction.spent.spend("registration_code", kept.id, now=now):
                raise CodeExpired
            transaction.audit.record(
                AuditAction.REGISTRATION_PROOF_GIVEN if kept else AuditAction.REGISTRATION_PROOF_REFUSED,
                now=now,
                person_id=person_id,
                detail={"kind": KIND, "author": kept.author} if kept else {"kind": KIND},
            )


def _bound(person_id: str, answer: str) -> str:
    return f"{person_id}\n{plain(answer)}"
