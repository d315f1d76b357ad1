"""The journeys, on this gateway's own ground."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from enforcement.policy import Policy
from flows.assembly import Recovery, assemble
from flows.ground import Ground
from flows.help.assembly import Help, assemble_help
from flows.messaging.message import Channel
from flows.messaging.receipts import Receipts
from flows.notices.administrators import RoleGroups
from flows.passwords.breaches import Breaches
from flows.registering.binding import LOST_WAITS
from gateway.all_sessions import AllSessions
from gateway.catalogs import translate_for
from gateway.portal_session import PortalSessions
from gateway.providers import Provider
from gateway.services import Clock
from gateway.settings import Settings
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs


def build_recovery(
    settings: Settings,
    *,
    database: Database,
    expiring: Expiring,
    counters: Counters,
    jobs: Jobs,
    policies: Callable[[], Policy],
    provider: Provider,
    channels: Mapping[str, Sequence[Channel]],
    breaches: Breaches | None,
    clock: Clock,
    receipts: Receipts | None = None,
) -> tuple[Recovery, Help]:
    """Put the journeys and what helps besides together, and register their jobs.

    Args:
        policies: Returns the policy in force.
        channels: By name; see `flows.messaging.dispatch.Dispatch`.
        receipts: See there.
    """
    roles = settings.roles
    ground = Ground(
        database=database,
        expiring=expiring,
        counters=counters,
        jobs=jobs,
        policies=policies,
        directory=provider.directory,
        writer=provider.writer,
        sessions=AllSessions(PortalSessions(expiring), provider.sessions, clock),
        locks=provider.locks,
        channels=channels,
        receipts=receipts,
        identities={each.name: each.issuer for each in settings.identities},
        questions=settings.questions,
        limits=settings.limits,
        messages=settings.messages,
        passwords=settings.passwords,
        breaches=breaches,
        portal=f"{settings.gateway.public}{settings.gateway.prefix}",
        clock=clock,
        languages=translate_for,
        privileged_groups=frozenset((*roles.administrator, *roles.user_administrator, *roles.helpdesk)),
        opened_groups=frozenset(roles.opened),
        opened_in_directories=frozenset(settings.opened_in_directories),
        groups=RoleGroups(
            helpdesk=roles.helpdesk,
            user_administrator=roles.user_administrator,
            administrator=roles.administrator,
        ),
        contact=settings.contact,
        lost_waits=dt.timedelta(0) if settings.demo.outbox else LOST_WAITS,
    )
    recovery = assemble(ground)
    return recovery, assemble_help(ground, recovery.eligibility, recovery.late_writes)
