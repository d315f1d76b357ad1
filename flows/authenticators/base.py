"""What every kind of authenticator can do: be bound, and prove something.

A kind is a module and a row in the contract suite. Registration asks it what a new binding needs and what
is kept of it; the journeys ask it what an answer proves. Nothing else in this package knows one kind from
another.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from enforcement.policy import Rule
from idp_plugin.base import Identity
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
    asked: str = field(default="", repr=False)
    """What `Kind.ask` returned when the challenge was opened."""
    purpose: str = ""
    """`reset`, `unlock`, …; `prove` for a step-up."""
    person_id: str = ""
    """Empty for a decoy, and for somebody whose answers of the day are used up."""
    reference: str = ""
    """What the attempt is called on the page; empty for a step-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a signed-in person wants to bind."""

    typed: str = field(default="", repr=False)
    """An address or a number as typed; empty for kinds that ask for nothing."""
    way: str = ""
    """Channel by which the code is to come; empty means the kind's first."""
    person_id: str
    username: str
    """As the directory knows the person; the subject's id where it does not answer."""
    identity: Callable[[], Identity | None]
    """Reads what the directory knows now; raises `Unavailable`."""
    own: tuple[Authenticator, ...]
    """What the person has, without what is to be replaced."""
    rule: Rule
    """With the strictest terms of binding that the person meets at any application."""
    has_proved: bool = False
    """Whether the person proved an existing authenticator in this portal session."""
    transaction: Transaction
    """For reading what others registered."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is kept while a binding waits for its answer."""

    secret: bytes = field(repr=False)
    """Of the kind's own making; sealed with the question, and shown to the person as far as `shown` says."""
    way: str = ""
    """Channel by which a code must leave now; empty where none is sent."""
    destination: str = field(default="", repr=False)
    """Where it goes."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A binding that waits, as the kind sees it."""

    id: str = field(repr=False)
    secret: bytes = field(repr=False)
    asked_at: dt.datetime
    code_matches: Callable[[str], bool]
    """Compares an answer with the code that was sent; never true where none was."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The right answer to a binding."""

    kept: bytes = field(repr=False)
    """The secret to keep."""
    answer: str = field(repr=False)
    """As typed; whatever it uses up is used up in the binding's transaction."""


class Kind(Protocol):
    """One kind of authenticator."""

    name: str
    ways: tuple[str, ...]
    """Channels by which its code can leave, the usual one first; empty where nothing is sent."""
    asks_destination: bool
    """Whether the person types the whole destination first, which must match before anything is sent (S4)."""
    may_be_first: bool
    """Whether it may be the first proof: false where the question itself tells something of the person."""
    is_told: bool
    """Whether the owner is told each time that it proves something, because that uses it up."""

    def mask(self, secret: bytes) -> str:
        """Return what an authenticator's owner recognises it by, like `j•••@e•••.org`; may be empty."""

    def destination(self, secret: bytes) -> str:
        """Return where its codes go; empty where nothing is sent."""

    def is_destination(self, secret: bytes, typed: str) -> bool:
        """Tell whether this is the destination that somebody typed; only asked where `asks_destination`."""

    def suggestions(self, identity: Identity) -> tuple[str, ...]:
        """Return what of the directory's may be bound, in full; only asked of the person's own."""

    def holds(self, secret: bytes, identity: Callable[[], Identity | None]) -> bool:
        """Tell whether the directory still vouches for it, where it does; asked before it proves (S2).

        Raises:
            Unavailable: The directory is needed and does not answer.
        """

    def ask(self, question: Question, transaction: Transaction, *, now: dt.datetime) -> str:
        """Return what is asked when a challenge opens, as JSON for the page; empty where it is just a code.

        Before the first proof the answer must not depend on the person (S4).
        """

    def work_out(self, question: Question, answer: str) -> str:
        """Do what takes long with an answer as typed, outside every transaction.

        Returns:
            What `prove` takes.

        Raises:
            Unavailable: Too many at once; nothing was counted.
        """

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the ids of the authenticators that an answer proves, none when it is wrong.

        Takes as long for a decoy as for a person. Whatever proves is spent in the transaction.

        Raises:
            CodeExpired: The answer was right, and was used before.
        """

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return what a new binding waits with.

        Raises:
            UnusableAddress: It may not be bound, with `why`.
            Unavailable: The directory is needed and does not answer.
        """

    def shown(self, waiting: Waiting, wish: Wish) -> object | None:
        """Return what the page of a waiting binding shows beyond a field for a code, or None."""

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return the secret to keep when the answer to a binding is right, else None."""

    def bound(self, transaction: Transaction, added: Authenticator, answer: str, *, now: dt.datetime) -> None:
        """Do what follows in the binding's own transaction, such as using up the answer."""

    def lookups(self, secret: bytes) -> tuple[str, ...]:
        """Return digests by which people who share it are counted, the one to store first; may be empty."""

    def voids(self, own: tuple[Authenticator, ...], *, proved: bool) -> tuple[Authenticator, ...]:
        """Return what a new one of this kind replaces without being told to."""

    def left(self, secret: bytes) -> int | None:
        """Return how many answers are left; None for kinds that do not run out."""


class Unsent:
    """What kinds have in common whose answer is not sent."""

    ways: tuple[str, ...] = ()
    asks_destination = False
    may_be_first = True
    is_told = False

    def mask(self, secret: bytes) -> str:
        """Return nothing: it has no destination."""
        del secret
        return ""

    def destination(self, secret: bytes) -> str:
        """Return nothing."""
        del secret
        return ""

    def is_destination(self, secret: bytes, typed: str) -> bool:
        """Return False."""
        del secret, typed
        return False

    def suggestions(self, identity: Identity) -> tuple[str, ...]:
        """Return nothing: the directory knows none."""
        del identity
        return ()

    def holds(self, secret: bytes, identity: Callable[[], Identity | None]) -> bool:
        """Return True: it does not come from the directory."""
        del secret, identity
        return True

    def ask(self, question: Question, transaction: Transaction, *, now: dt.datetime) -> str:
        """Return nothing: a code is asked for."""
        del question, transaction, now
        return ""

    def work_out(self, question: Question, answer: str) -> str:
        """Return the answer as it is."""
        del question
        return answer

    def shown(self, waiting: Waiting, wish: Wish) -> object | None:
        """Return None: a field for a code is enough."""
        del waiting, wish
        return None

    def bound(self, transaction: Transaction, added: Authenticator, answer: str, *, now: dt.datetime) -> None:
        """Do nothing more."""
        del transaction, added, answer, now

    def lookups(self, secret: bytes) -> tuple[str, ...]:
        """Return nothing: nobody shares it."""
        del secret
        return ()

    def voids(self, own: tuple[Authenticator, ...], *, proved: bool) -> tuple[Authenticator, ...]:
        """Return nothing."""
        del own, proved
        return ()

    def left(self, secret: bytes) -> int | None:
        """Return None."""
        del secret
        return None


Kinds = Mapping[str, Kind]
"""By the names that policies use."""
