"""The signed-in person, and what the registration pages show them."""

import datetime as dt
from dataclasses import dataclass, field, replace

from enforcement.grace import Postponement
from enforcement.policy import Rule
from enforcement.requirement import Gap
from enforcement.situation import Situation
from idp_plugin.base import Subject

# Source: RFC 8176 section 2: values of `amr` that mean something besides a password.
_SECOND_FACTORS = frozenset({"mfa", "otp", "hwk", "swk", "sc", "pop", "fpt", "face", "iris", "retina", "vbm"})


@dataclass(frozen=True, slots=True)
class Member:
    """The signed-in person, as the portal's own OIDC sign-in learnt it."""

    subject: Subject
    session: str = field(repr=False)
    """Id of the portal session; a step-up proof counts in it alone."""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    client_id: str = ""
    """The relying party of the held sign-in, if any."""
    protocol: str = ""
    """By which protocol it is told, and from where the sign-in came; empty where none is held."""
    client_address: str = ""
    amr: tuple[str, ...] = ()
    locale: str = ""
    """The language that the person reads our pages in: BCP 47, or empty."""

    @property
    def has_second_factor(self) -> bool:
        """Whether the identity provider states that more than a password was given."""
        return not _SECOND_FACTORS.isdisjoint(self.amr)

    @property
    def person(self) -> Situation:
        """The person as rules look at them, apart from any sign-in."""
        subject = self.subject
        return Situation(source=subject.source, subject=subject.id, groups=self.groups, roles=self.roles)

    def situation(self, now: dt.datetime) -> Situation:
        """Return the held sign-in as rules look at it; the person alone where none is held."""
        if not self.client_id and not self.protocol:
            return self.person
        return replace(
            self.person, client_id=self.client_id, protocol=self.protocol, address=self.client_address, at=now
        )


@dataclass(frozen=True, slots=True)
class Registered:
    """One bound authenticator, as the pages show it to its owner."""

    id: str
    kind: str
    masked: str
    """Like `j•••@e•••.org`; empty for an app."""
    confirmed_at: dt.datetime
    trusted_from: dt.datetime
    """From when it can prove something in a reset."""
    provenance: str
    number: int
    suspended: bool = False
    left: int | None = None
    """Recovery codes that were not used yet; None for other kinds."""
    proves_alone: bool = True
    """Whether it can be asked for before something is changed."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a person has, and what the policy asks."""

    rule: Rule | None
    gap: Gap | None
    """None where no rule covers the person; falsy where nothing is missing."""
    postponement: Postponement | None
    authenticators: tuple[Registered, ...]
    """Oldest first."""
    suggestions: tuple[str, ...]
    """The person's own directory addresses that may be registered, in full."""
    kinds: tuple[str, ...]
    """What may be added now."""
    proof_needed: bool
    """Whether adding, changing or removing asks for a proof of an existing method first (S1)."""
    frozen: bool = False
    """Somebody said "this was not me": nothing can be changed until the helpdesk lifts it."""
    username: str = ""
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class NewApp:
    """A new seed waits for its first code."""

    secret_base32: str = field(repr=False)
    uri: str = field(repr=False)
    """`otpauth://…` for the QR code."""


@dataclass(frozen=True, slots=True)
class NewCodes:
    """New recovery codes wait until the person says that they are saved; none of them works before."""

    codes: tuple[str, ...] = field(repr=False)
    """Like `K7QM4-W2XP9-DT3AB`."""
    voids_earlier: bool
    """Whether earlier codes stop working as soon as these are saved."""
    made_at: dt.datetime


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A device is to make a passkey."""

    options: str
    """For `navigator.credentials.create`, as JSON; bytes in Base64url."""


@dataclass(frozen=True, slots=True)
class NewQuestions:
    """Security questions are to be chosen and answered."""

    count: int
    topics: tuple[str, ...]
    """Names of those that come with Sparekey."""
    further: tuple[str, ...]
    """The organisation's, in words."""
    own: bool
    """Whether the person may write one."""


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """The person is to sign in elsewhere."""

    provider: str


@dataclass(frozen=True, slots=True)
class Pending:
    """An answer is awaited."""

    id: str
    kind: str
    masked: str
    """Where the code went; for an address that is being bound, the address itself. Empty for an app."""
    sent_at: dt.datetime
    expires_at: dt.datetime
    way: str = ""
    """The channel by which a code left; empty where none did."""
    asked: str = field(default="", repr=False)
    """What `Kind.ask` returned, for a proof."""
    shown: object | None = field(default=None, repr=False)
    """What `Kind.shown` returned, for a binding: `NewApp`, `NewCodes`, …"""
