"""The facts of one attempt to get back in; its stage is derived from them, never stored."""

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from enforcement.policy import Purpose
from enforcement.proof import ProofRule
from flows.abuse.known_device import KnownDevice
from flows.records import Records
from idp_plugin.base import Subject, WriterCapabilities
from idp_plugin.password_rules import AccountNames
from store.expiring import Expiring

Outcome = Literal["", "written", "unlocked", "unknown", "refused"]
"""What an attempt ended with; empty until it did."""


class Stage(enum.StrEnum):
    """Where an attempt stands."""

    CHOOSE = "choose"
    """A kind has to be chosen, for the first proof or for the next."""
    PROVE = "prove"
    """A challenge is open."""
    NEW_PASSWORD = "new_password"  # noqa: S105 - a stage, not a password
    """Everything is proved; a new password may be written."""
    UNLOCK = "unlock"
    """Everything is proved; the lock may be ended."""
    DONE = "done"
    """What it was begun for is done."""
    OVER = "over"
    """Ended without it: too many wrong answers, refused, or its outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One gate passed."""

    kind: str
    authenticator_ids: tuple[str, ...]
    """The authenticators that were shown to be held; more than one where a code went to several addresses."""
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """The one question that is open; a newer one replaces it (S16)."""

    kind: str
    code_digest: str = field(repr=False)
    """Keyed digest of the code; empty where nothing is sent."""
    sent_at: dt.datetime
    expires_at: dt.datetime
    spent: bool = False
    way: str = ""
    """The channel by which a code was asked for; empty where nothing is sent."""
    destination: str = field(default="", repr=False)
    """As typed, for kinds that ask for the whole of it; whoever's it is is found out by the queue."""
    asked: str = field(default="", repr=False)
    """What `Kind.ask` returned."""
    sent_to: tuple[str, ...] = ()
    """Authenticators to which the code really left: written by the queue, empty for decoys."""


Lock = Literal["ended", "none", "unknown"]
"""What became of one lock: ended, there was none, or the answer was lost."""


@dataclass(frozen=True, slots=True)
class Locks:
    """What an unlock found and did."""

    directory: Lock
    """Where the password lives."""
    provider: Lock | None
    """At the identity provider; None where it has none that can be ended from here."""

    @property
    def ended(self) -> bool:
        """Whether anything was ended, or may have been."""
        return self.directory != "none" or self.provider not in {"none", None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One reset or unlock, from the typed name to what it was begun for.

    A decoy is an attempt without a person: it walks the same pages and never gets a proof.
    """

    id: str = field(repr=False)
    purpose: Purpose = "reset"
    """Never changes; no stage of one purpose is reached by an attempt of another."""
    reference: str
    """What pages, messages, audit and logs call this attempt, like `7K2M-PQ4D`; opens nothing."""
    identifier: str = field(repr=False)
    """As typed, for the directory; empty where it cannot be a name, which makes a decoy."""
    typed: str
    """Keyed digest of the normalised identifier: what visible limits count (S5)."""
    browser: str = field(repr=False)
    """Digest of the browser's secret: only that browser's proofs count (S15)."""
    device: KnownDevice | None = None
    """The known device that it was started on (S5)."""
    started_at: dt.datetime
    expires_at: dt.datetime
    answers_allowed: int
    policy_version: int
    policy_gates: int
    """How many proofs strangers are told of: the most that any rule asks (S4)."""
    policy_kinds: tuple[str, ...]
    """Which kinds strangers are offered: those of all rules together (S4)."""

    return_to: str = ""
    """Where the pages lead back to, as far as they know; they look again before they do."""
    signed_in: bool = False
    """Begun by somebody who is signed in, to change their password: the old one is all that is proved."""
    moved_from: tuple[str, ...] = ()
    """Digests of the browsers in which it was begun and does not go on any more (S15)."""
    resolved: bool = False
    """Whether the name was looked up; the pages never wait for it."""
    subject: Subject | None = None
    account: Subject | None = None
    person_id: str | None = None
    epoch: int = 0
    """The person's epoch when looked up; a finished change raises it and voids all older attempts."""
    own_rule: ProofRule | None = None
    """What the person's own rule asks; None until the look-up, and for decoys."""
    own_kinds: tuple[str, ...] = ()
    """Kinds that the person can prove something with now."""
    display_name: str = field(default="", repr=False)
    locale: str = ""
    """The person's language as the directory states it: BCP 47, or empty."""
    names: AccountNames = field(default=AccountNames(), repr=False)
    """What the new password may not contain."""
    capabilities: WriterCapabilities | None = None
    """What the directory promises about this account's passwords, read after the first proof."""

    challenge: Challenge | None = None
    proofs: tuple[Proof, ...] = ()
    wrong_answers: int = 0
    claims: int = 0
    """Claims given back because nothing was changed; numbers the next claim."""
    claimed_at: dt.datetime | None = None
    outcome: Outcome = ""
    locks: Locks | None = None
    """What an unlock did; None until then."""

    @property
    def is_decoy(self) -> bool:
        """Whether nothing that is typed here can ever prove anything."""
        return self.person_id is None

    @property
    def is_on_known_device(self) -> bool:
        """Whether it was started on a device that is known for the very person that the name means now."""
        return self.device is not None and self.device.person_id == self.person_id

    @property
    def counted_as(self) -> str:
        """What visible limits count: the typed text, or the known device for it (S5)."""
        return f"device:{self.device.id}:{self.typed}" if self.device else self.typed

    @property
    def counted_person(self) -> str:
        """What silent limits count: the person, apart from the person's own devices.

        A decoy's answers are counted as often as a person's, for nobody.
        """
        if self.person_id is None:
            return f"decoy:{self.typed}"
        device = self.device if self.is_on_known_device else None
        return f"{self.person_id}:device:{device.id}" if device else self.person_id

    @property
    def counted_besides(self) -> str:
        """What silent limits count besides, over all known devices of the person; empty for strangers."""
        return devices_of(self.person_id) if self.person_id and self.is_on_known_device else ""

    @property
    def finished(self) -> bool:
        """Whether the attempt has an outcome."""
        return bool(self.outcome)

    @property
    def gates(self) -> int:
        """How many proofs are needed: the policy's most until the first proof, then the person's own."""
        if not self.proofs or self.own_rule is None:
            return self.policy_gates
        return len(self.proofs) + (self.own_rule.fewest_more(self._proved, self.own_kinds) or 0)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that may be asked for now, in the policy's order; no kind proves twice."""
        if not self.proofs or self.own_rule is None:
            return self.policy_kinds
        return self.own_rule.next_kinds(self._proved, self.own_kinds)

    @property
    def _proved(self) -> frozenset[str]:
        return frozenset(proof.kind for proof in self.proofs)

    @property
    def attempts_left(self) -> int:
        """Wrong answers that may still be given."""
        return max(self.answers_allowed - self.wrong_answers, 0)

    @property
    def stage(self) -> Stage:
        """Where the attempt stands, by its facts."""
        if self.outcome in {"written", "unlocked"}:
            return Stage.DONE
        if self.outcome or not self.attempts_left:
            return Stage.OVER
        if self.signed_in or (self.own_rule and self.proofs and self.own_rule.is_enough(self._proved)):
            # Security: an attempt to unlock never reaches the stage that writes a password, nor the reverse.
            return Stage.UNLOCK if self.purpose == "unlock" else Stage.NEW_PASSWORD
        if self.challenge and not self.challenge.spent:
            return Stage.PROVE
        return Stage.CHOOSE

    def moved_to(self, browser: str) -> "Attempt":
        """Return the attempt as another browser's, given as its digest.

        Security: a proof counts in the browser that gave it (S15). Whoever only reads somebody's mail would
        otherwise take over what the person has proved so far. What the first browser may do more than a
        stranger's stays with it, too.
        """
        left = tuple(each for each in (*self.moved_from, self.browser) if each != browser)
        return replace(self, browser=browser, moved_from=left, device=None, proofs=())

    def with_proof(self, proof: Proof) -> "Attempt":
        """Return the attempt with one more proof and its challenge spent."""
        challenge = replace(self.challenge, spent=True) if self.challenge else None
        return replace(self, proofs=(*self.proofs, proof), challenge=challenge)


class Attempts:
    """Attempts in the expiring store; every change is a compare-and-set."""

    def __init__(self, expiring: Expiring) -> None:
        self._records = Records(expiring, "attempt", Attempt)

    def create(self, attempt: Attempt, *, now: dt.datetime) -> None:
        """Store a new attempt for as long as it lives."""
        self._records.create(attempt.id, attempt, ttl=attempt.expires_at - now)

    def read(self, attempt_id: str) -> Attempt | None:
        """Return the attempt as it now stands, or None."""
        return self._records.read(attempt_id)

    def change(self, attempt_id: str, function: Callable[[Attempt], Attempt]) -> Attempt:
        """Apply a pure function to the newest facts; see `Records.change`."""
        return self._records.change(attempt_id, function)


def devices_of(person_id: str) -> str:
    """Return what all known devices of a person are counted as together."""
    return f"{person_id}:devices"
