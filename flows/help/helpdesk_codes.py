"""Codes that a helpdesk hands out: for one person, one purpose and one attempt; good for 15 minutes.

A code opens nothing by itself: it is one proof, in the attempt whose reference the caller reads out from the
screen, and in no other (S23).
"""

import datetime as dt
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from enforcement.policy import Policy, Purpose
from flows import verification_code
from flows.errors import HelpRefused
from flows.help.person import helpable
from flows.recovery.eligibility import Eligibility
from flows.situations import situation_of
from idp_plugin.base import Directory, Identity
from store.audit import AuditAction
from store.database import Database
from store.expiring import Expiring
from store.vault import Vault

NAME = "helpdesk_code"
LIVES = dt.timedelta(minutes=15)
_STORED_AS = "helpdesk code"
_NOBODY = "nobody"
_NO_CODE = "0" * 64


@dataclass(frozen=True, slots=True)
class Issued:
    """What is kept of a code."""

    id: str
    digest: str = field(repr=False)
    purpose: str
    reference: str
    author: str
    until: dt.datetime


_JSON = TypeAdapter(Issued)


class IssuedCodes:
    """The codes that are out; a person has one at most, and a newer one voids it (S16)."""

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring

    def keep(self, person_id: str, issued: Issued) -> None:
        """Keep one in the place of an earlier one."""
        self._expiring.put(_STORED_AS, person_id, _JSON.dump_json(issued), ttl=LIVES)

    def of(self, person_id: str) -> Issued | None:
        """Return a person's code; for nobody, as long it takes, none."""
        kept = self._expiring.peek(_STORED_AS, person_id or _NOBODY)
        return _JSON.validate_json(kept) if kept else None


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A code to be told to the caller."""

    username: str
    code: str = field(repr=False)
    until: dt.datetime


class HelpdeskCodes:
    """What commands call, and the API later; who may call it is decided there."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        directory: Directory,
        policies: Callable[[], Policy],
        eligibility: Eligibility,
        issued: IssuedCodes,
    ) -> None:
        self._database = database
        self._vault = vault
        self._directory = directory
        self._policies = policies
        self._eligibility = eligibility
        self._issued = issued

    def issue(
        self, identifier: str, purpose: Purpose, reference: str, *, author: str, now: dt.datetime
    ) -> HandedOut:
        """Make a code for the attempt whose reference the caller reads out; it voids an earlier one.

        Args:
            identifier: The caller's name; make sure before that it is them.
            reference: As read out, like `7K2M-PQ4D`.
            author: Who hands it out, for the audit.

        Raises:
            HelpRefused: `unknown`, `disabled`, `privileged`, or `not_covered` where no rule lists such codes.
            Unavailable: The directory does not answer.
        """
        identity = helpable(self._directory, self._eligibility, identifier)
        self._require_allowed(identity, purpose)
        code, until = verification_code.new_code(), now + LIVES
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=now)
            transaction.audit.record(
                AuditAction.HELPDESK_CODE_ISSUED,
                now=now,
                person_id=person.id,
                reference=plain_reference(reference),
                detail={"author": author, "purpose": purpose},
            )
        bound_to = binding(person.id, purpose, plain_reference(reference))
        digest = verification_code.digest(self._vault, code, bound_to=bound_to, kind=NAME)
        issued = Issued(secrets.token_hex(16), digest, purpose, plain_reference(reference), author, until)
        self._issued.keep(person.id, issued)
        return HandedOut(identity.username, code, until)

    def _require_allowed(self, identity: Identity, purpose: Purpose) -> None:
        rule = self._policies().rule_for(situation_of(identity))
        if rule is None or NAME not in rule.proving_kinds(purpose):
            raise HelpRefused("not_covered")


def binding(person_id: str, purpose: str, reference: str) -> str:
    """Return what a code is bound to."""
    return f"{person_id or _NOBODY}\n{purpose}\n{reference}"


def matches(vault: Vault, answer: str, issued: Issued | None, *, bound_to: str, now: dt.datetime) -> bool:
    """Compare an answer as typed with a code that is out; takes as long where none is."""
    digest = issued.digest if issued else _NO_CODE
    fits = verification_code.matches(vault, answer, digest, bound_to=bound_to, kind=NAME)
    return fits and issued is not None and now < issued.until


def plain_reference(typed: str) -> str:
    """Return a reference as pages show it, from however it was written down."""
    folded = unicodedata.normalize("NFKC", typed[:64]).upper()
    letters = "".join(letter for letter in folded if letter.isalnum())
    return f"{letters[:4]}-{letters[4:]}"
