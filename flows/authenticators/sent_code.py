"""What kinds have in common whose answer is a code that we send."""

import datetime as dt

from flows import verification_code
from flows.authenticators.base import Question, Unsent, Waiting
from flows.errors import CodeExpired
from store.database import Transaction
from store.vault import Vault


class SentCode(Unsent):
    """A code of six digits; its secret is the destination in UTF-8."""

    name: str

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def destination(self, secret: bytes) -> str:
        """Return the secret as text."""
        return secret.decode()

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return every authenticator that the code went to; see `Kind.prove`."""
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

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return the destination where the code is right."""
        del now
        return waiting.secret if waiting.code_matches(answer) else None
