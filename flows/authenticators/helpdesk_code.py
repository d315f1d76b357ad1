"""A code that the helpdesk told the caller: nobody registers it, and everybody is offered it alike."""

import datetime as dt

from flows.authenticators.base import Prepared, Question, Unsent, Waiting, Wish
from flows.errors import CodeExpired, NotPossible
from flows.help import helpdesk_codes
from flows.help.helpdesk_codes import IssuedCodes
from store.audit import AuditAction
from store.database import Transaction
from store.vault import Vault


class HelpdeskCode(Unsent):
    """There is no secret: what is out is kept apart, and never among what somebody registered."""

    name = helpdesk_codes.NAME

    def __init__(self, vault: Vault, issued: IssuedCodes) -> None:
        self._vault = vault
        self._issued = issued

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the code's own id, where it was handed out for this attempt, and use it up."""
        issued = self._issued.of(question.person_id)
        bound_to = helpdesk_codes.binding(question.person_id, question.purpose, question.reference)
        if not helpdesk_codes.matches(self._vault, answer, issued, bound_to=bound_to, now=now):
            return ()
        if issued is None:
            return ()
        if not transaction.spent.spend(self.name, issued.id, now=now):
            raise CodeExpired
        transaction.audit.record(
            AuditAction.HELPDESK_CODE_USED,
            now=now,
            person_id=question.person_id,
            reference=question.reference,
            detail={"author": issued.author, "purpose": question.purpose},
        )
        return (issued.id,)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Refuse: nobody registers a code of the helpdesk."""
        del wish, now
        raise NotPossible("not_covered")

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return None."""
        del waiting, answer, now
        return None
