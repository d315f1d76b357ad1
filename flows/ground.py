"""What the journeys are put together around: any directory, writer, sessions and channels."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enforcement.policy import Policy
from flows.messaging.letters import Letters
from flows.messaging.message import Channel
from flows.messaging.receipts import Receipts
from flows.messaging.render import Languages, english_only
from flows.notices.administrators import Administrators, RoleGroups
from flows.passwords.breaches import Breaches
from flows.passwords.settings import PasswordsSettings
from flows.registering.binding import LOST_WAITS
from flows.settings import ContactSettings, LimitSettings, MessagesSettings, QuestionSettings
from idp_plugin.base import AccountLocks, Directory, IdpSessions, PasswordWriter
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the journeys stand on."""

    database: Database
    expiring: Expiring
    counters: Counters
    jobs: Jobs
    policies: Callable[[], Policy]
    """Returns the policy in force."""
    directory: Directory
    """Finds people."""
    writer: PasswordWriter
    sessions: IdpSessions
    """Ends every session of a person, the portal's own too."""
    locks: AccountLocks | None = None
    """The identity provider's own; None where it has none that can be ended."""
    channels: Mapping[str, Sequence[Channel]]
    """By name; see `flows.messaging.dispatch.Dispatch`."""
    receipts: Receipts | None = None
    """See there."""
    limits: LimitSettings
    messages: MessagesSettings
    passwords: PasswordsSettings = field(default_factory=PasswordsSettings)
    breaches: Breaches | None = None
    """Where leaked passwords are looked up; None looks nowhere."""
    portal: str
    """Address of our own pages, like `https://sso.example.org/sparekey`."""
    clock: Callable[[], dt.datetime]
    languages: Languages = english_only
    privileged_groups: frozenset[str] = frozenset()
    """Groups and roles that make privileged, besides what the directory knows (S18)."""
    opened_groups: frozenset[str] = frozenset()
    """Those of them that the settings open to the stronger rule."""
    opened_in_directories: frozenset[str] = frozenset()
    """What the settings open in any directory."""
    groups: RoleGroups = RoleGroups()  # noqa: RUF009 - frozen
    """Who has which role here."""
    contact: ContactSettings = ContactSettings()  # noqa: RUF009 - frozen
    identities: Mapping[str, str] = field(default_factory=dict)
    """Issuers of the providers that people may link, by name."""
    questions: QuestionSettings = QuestionSettings()  # noqa: RUF009 - frozen
    """Who helps, and who is alarmed."""
    lost_waits: dt.timedelta = LOST_WAITS
    """See `binding.LOST_WAITS`; only the demo sets another."""


def administrators_of(ground: Ground) -> Administrators:
    """Return who helps and who is alarmed."""
    return Administrators(
        directory=ground.directory,
        groups=ground.groups,
        helpdesk=ground.contact.helpdesk,
        alarms=ground.contact.alarms,
    )


def letters_of(ground: Ground) -> Letters:
    """Return what writes messages without a code."""
    return Letters(
        organisation=ground.messages.mail.organisation,
        zone=ground.messages.zone,
        languages=ground.languages,
    )
