"""A code sent to a private mail address."""

import datetime as dt

from flows import verification_code
from flows.authenticators import email_address
from flows.authenticators.base import Question
from flows.errors import CodeExpired
from store.database import Transaction
from store.vault import Vault


class EmailCode:
    """The secret is the address in UTF-8."""

    name = "email"
    is_sent = True
    is_told = False

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def mask(self, secret: bytes) -> str:
        """Return like `j•••@e•••.org`."""
        return email_address.mask(secret.decode())

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return every address that the code went to; see `Kind.prove`."""
        # Security: one keyed digest for everybody; people are looked up only after it matched.
        if not verification_code.matches(
            self._vault, answer, question.code_digest, bound_to=question.bound_to, kind=self.name
        ):
            return ()
        proved = tuple(authenticator.id for authenticator in question.candidates())
        if proved and not transaction.spent.spend(
            "code", f"{question.bound_to}:{question.code_digest}", now=now
        ):
            raise CodeExpired
        return proved
