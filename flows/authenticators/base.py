"""What every kind of authenticator can do."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from store.authenticators import Authenticator
from store.database import Transaction


@dataclass(frozen=True, slots=True)
class Question:
    """What an answer is compared with."""

    bound_to: str = field(repr=False)
    """Id of the attempt or of the pending proof."""
    code_digest: str = field(repr=False)
    """Empty for kinds whose code is not sent."""
    candidates: Callable[[], tuple[Authenticator, ...]]
    """The usable authenticators of this kind; empty for a decoy."""


class Kind(Protocol):
    """One kind of authenticator: a module, a row in the contract suite."""

    name: str
    is_sent: bool
    """Whether a code has to be sent before it can be typed."""
    is_told: bool
    """Whether the owner is told each time that it proves something, because that uses it up."""

    def mask(self, secret: bytes) -> str:
        """Return what an authenticator's owner recognises it by, like `j•••@e•••.org`; may be empty."""

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the ids of the authenticators that an answer proves, none when it is wrong.

        Takes as long for a decoy as for a person. Whatever proves is spent in the transaction.

        Raises:
            CodeExpired: The answer was right, and was used before.
        """
