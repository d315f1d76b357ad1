"""What the adapters speak: identities, sign-ins, and four small protocols.

Small protocols instead of one provider interface with "not implemented" defaults: Keycloak may find
people while LDAP, near or behind an agent, writes passwords.
"""

import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from idp_plugin.password_rules import PasswordRule


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody's immutable id where it was issued; a re-created name gets another one.

    Source: design rule 9; OpenID Connect Core 1.0 section 2 (`iss` and `sub` together).
    """

    source: str
    """OIDC issuer, or the `name` of a directory in the settings."""
    id: str
    """`sub`, `entryUUID`, `objectGUID` (canonical text form) or `nsUniqueId`."""


class PasswordState(enum.StrEnum):
    """What the directory says of the password now."""

    USABLE = "usable"
    GRACE = "grace"
    """Expired, and still opens the account a few times."""
    EXPIRED = "expired"
    MUST_CHANGE = "must_change"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity provider's or directory's answer of this moment; never stored."""

    subject: Subject
    """Who this is to relying parties and to our own records: issuer and `sub`."""
    account: Subject
    """Where the password lives: directory name and entry id. Equal to `subject` where the IdP keeps it."""
    username: str
    display_name: str = ""
    emails: tuple[str, ...] = ()
    """Directory addresses, most trusted first; they may be the locked mailbox itself."""
    phones: tuple[str, ...] = ()
    trusted_phones: tuple[str, ...] = ()
    """Those of attributes that the person is known not to write (S2), as the directory holds them."""
    groups: frozenset[str] = frozenset()
    """Group names as the directory or IdP writes them, nested ones included where it can tell."""
    roles: frozenset[str] = frozenset()
    locale: str = ""
    """BCP 47, or empty."""
    enabled: bool = True
    locked: bool = False
    privileged: bool = False
    """True where any system that this password opens gives power (S18); unreadable counts as True."""
    opened: bool = False
    """True where every such power, and all of them were read, is one that an operator opened to recovery."""
    password_state: PasswordState = PasswordState.UNKNOWN
    may_change_password: bool = True
    """False where the directory forbids this person to change the password ("cannot change")."""
    may_change_password_after: dt.datetime | None = None
    """Aware UTC; None where the password may be changed at once."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the identity provider and its complete response, as the plane saw them.

    Header names are as sent; compare them in lower case. Bodies are bytes, identity-encoded. The request
    headers still hold the browser's cookies; nothing here may be logged.
    """

    method: bytes
    target: bytes
    """Path and query as sent, byte for byte."""
    request_headers: tuple[tuple[bytes, bytes], ...]
    request_body: bytes
    """Empty unless the plane was told to keep it, and it came whole."""
    status: int
    response_headers: tuple[tuple[bytes, bytes], ...]
    response_body: bytes


@dataclass(frozen=True, slots=True)
class AuthorizationAnswer:
    """An authorization response that leaves the identity provider's origin (interception.md, decision 1)."""

    redirect_uri: str
    """Target without query and fragment."""
    parameters: Mapping[str, str] = field(repr=False)
    """`code`, `state`, `session_state`, `iss`, `id_token`, … as given; secrets: never log."""
    mode: str
    """`query`, `fragment` or `form_post`."""
    protocol: "SignInProtocol" = "oidc"


SignInProtocol = Literal["", "oidc", "saml", "cas", "ws_federation", "token", "forward_auth"]
"""How a relying party is told who signs in; `token` is a grant at the token endpoint; empty where what is
handed over is of more than one."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody is about to be handed to a relying party."""

    subject: Subject
    session_id: str
    """The IdP session (`sid`); empty where the provider states none."""
    client_id: str
    """The relying party where known, else empty."""
    username: str = ""
    groups: frozenset[str] | None = None
    """None where the recogniser did not learn them; so with roles."""
    roles: frozenset[str] | None = None
    amr: tuple[str, ...] = ()
    acr: str = ""
    verified_by: str = ""
    """How the subject was learnt: `session_cookie` or `silent_check`."""
    protocol: SignInProtocol = "oidc"
    client_address: str = ""
    """Where the browser is, in text; empty where unknown."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What takes a sign-in up again whose request cannot be sent twice, from the provider's own memory."""

    target: str = field(repr=False)
    """Path and query at the provider."""
    set_cookie: str = field(repr=False)
    """Value of a `Set-Cookie` field: what the provider asked the browser to forget with its answer."""


class SignInRecogniser(Protocol):
    """Tells whether a response signs somebody in, and whom. Blocking; called in a worker thread."""

    def answer(self, exchange: Exchange) -> AuthorizationAnswer | None:
        """Return the authorization answer if this response hands one to a relying party.

        Pure and cheap; called on the event loop for redirects and candidate pages. `None` for error
        responses, for answers to our own redirect_uri, and for everything on the IdP's own origin.
        """

    def sets_session(self, exchange: Exchange) -> bool:
        """Tell whether the response sets the IdP's session cookie (S8: set but no answer is a miss)."""

    def recognise(self, exchange: Exchange, answer: AuthorizationAnswer) -> SignIn:
        """Return who is signed in, verified as S9 asks.

        Raises:
            Unrecognised: The response fits no verified session; never release on it (S10).
            IdpUnavailable: Infrastructure fault.
        """

    def resumption(self, exchange: Exchange) -> Resumption | None:
        """Return how the sign-in that was answered is taken up again; None where the provider cannot."""

    def self_check(self) -> None:
        """Make one `prompt=none` request without a session; expect `login_required`.

        Raises:
            IdpMisconfigured: Anything else came back; the gateway must not open.
            IdpUnavailable: The provider did not answer.
        """


class Unrecognised(Exception):
    """A response that looks like a sign-in but cannot be verified as anybody's; `why` is for the log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Directory(Protocol):
    """Finds people. Blocking."""

    def find(self, identifier: str) -> Identity | None:
        """Return the one person that a typed identifier names (user name or mail address).

        None for unknown names and, with a warning logged, for more than one match (S7).

        Raises:
            IdpUnavailable: No server answered in time.
        """

    def get(self, subject: Subject) -> Identity | None:
        """Return the person with this `Identity.subject`, or None where it no longer exists."""

    def everyone(self, groups: Iterable[str] = ()) -> Iterable[Identity]:
        """Yield everybody, or the members of the named groups, paged."""


@dataclass(frozen=True, slots=True)
class WriterCapabilities:
    """What the place that keeps passwords can do; promises on pages come from here."""

    checks_history_on_reset: bool = False
    unlocks_on_reset: bool = False
    minimum_length: int | None = None
    history_length: int | None = None
    old_password_lives: dt.timedelta = dt.timedelta(0)
    """How long the old password may still work after a reset (S19)."""
    rules: tuple[PasswordRule, ...] = ()
    """What the directory asks of a new password of this account, see `password_rules`."""
    clears_must_change: bool = True
    """Whether a reset leaves no duty to change the password at the next sign-in."""
    takes_old_password: bool = True
    """Whether `change_password` can check an old password at all; where not, it refuses every one."""


class TargetOutcome(enum.StrEnum):
    """What became of one target of a write to several."""

    WRITTEN = "written"
    """The new password works there."""
    REFUSED = "refused"
    """Its rules, or its rights, said no; the old password works there."""
    FAILED = "failed"
    """It did not answer; the old password works there."""
    UNKNOWN = "unknown"
    """Its answer was lost."""
    SKIPPED = "skipped"
    """Not asked, because a required one before it did not take the password."""
    LATER = "later"
    """It did not answer and is tried again for a while; until then the old password works there."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """At how many of the servers that were asked a new password works by now."""

    works: int
    asked: int


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What one of several targets did with a new password."""

    target: str
    """The target's name in the settings."""
    outcome: TargetOutcome
    convergence: Convergence | None = None
    """None where no further servers of it were asked."""


class PasswordWriter(Protocol):
    """Writes passwords. Blocking. `account` is `Identity.account`."""

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what holds for this account; cached for a while."""

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Reset: write the new password and clear the lock, in one operation where the directory can.

        Reads enabled and privileged again right before the write (S17, S18).

        Returns:
            What each target did, in their order; empty where there is but this one, and nothing to say of it.

        Raises:
            PasswordRefused: The directory's policy said no; nothing was changed.
            NotPermitted: Privileged, disabled, or our account lacks the right.
            OutcomeUnknown: The answer was lost, and reading back did not settle it (S19).
            IdpUnavailable: Not reached; nothing was changed.
        """

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Change: as the person, with the old password.

        Returns as `set_password`; raises as it does, and `WrongPassword`.
        """

    def unlock(self, account: Subject) -> bool:
        """Clear a temporary lock and tell whether there was one; without one nothing is written.

        Reads enabled and privileged again right before, as `set_password` does.

        Raises:
            NotPermitted: Privileged, or closed by an administrator: such a lock stays.
            OutcomeUnknown: The answer was lost.
            IdpUnavailable: Not reached; nothing was changed.
        """


@runtime_checkable
class ChangeForcer(Protocol):
    """A writer whose directory can ask for a new password at the next sign-in. Blocking."""

    def require_change(self, account: Subject) -> None:
        """Let the password that was just set be good for nothing but choosing another one.

        Raises:
            NotPermitted: Privileged, disabled, or our account lacks the right.
            IdpUnavailable: Not reached, or the answer was lost; doing it again does no harm.
        """


@runtime_checkable
class LateWriter(Protocol):
    """A writer some of whose targets may take a password later than the others. Blocking."""

    def late_targets(self, account: Subject) -> frozenset[str]:
        """Return the names of those that are not required; empty where all are. Asks nobody."""

    def set_late(self, account: Subject, target: str, new: str) -> None:
        """Write the password that the others have to one of them.

        Reads again right before the write whether the person may have it, here and at home (S17, S18).

        Raises:
            PasswordRefused: The target's policy said no.
            NotPermitted: Privileged, disabled or missing there, or our account lacks the right.
            OutcomeUnknown: The answer was lost.
            IdpUnavailable: Not reached; nothing was changed.
        """


class AccountLocks(Protocol):
    """The lock that an identity provider keeps of its own, beside the directory's. Blocking."""

    def clear(self, subject: Subject) -> bool:
        """Clear a temporary lock and tell whether there was one; what an administrator closed stays."""


@runtime_checkable
class SessionEnder(Protocol):
    """Sessions of which one alone can be ended. Blocking."""

    def end(self, session_id: str) -> None:
        """End one session; there being none is fine.

        Raises:
            NotPermitted: Our account may not.
            IdpUnavailable: Not reached.
        """


@runtime_checkable
class SelfChecking(Protocol):
    """A part that can find out whether it is set up as the other side wants it. Blocking."""

    def self_check(self) -> None:
        """Ask something that changes nothing.

        Raises:
            IdpMisconfigured: It is not; an operator must act.
            IdpUnavailable: Not reached.
        """


class IdpSessions(Protocol):
    """Ends the person's sessions at the identity provider. Blocking."""

    def end_all(self, subject: Subject) -> int | None:
        """End every session, offline ones too, then read back.

        Returns:
            How many remain; 0 is the promise kept. None where this provider offers no way: they go on.
        """
