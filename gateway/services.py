"""What the pages reach for: built once by `gateway.app`, never changed afterwards."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

from enforcement.gate import Gate
from flows.abuse.known_device import KnownDevices
from flows.abuse.proof_of_work import ProofOfWork
from flows.help.assembly import Help
from flows.messaging.call_backs import CallBacks
from flows.recovery.change import Change
from flows.recovery.moving import Moves
from flows.recovery.reset import Reset
from flows.recovery.unlock import Unlock
from flows.registering.registration import Registration
from gateway.forward_auth.hand_over import HandOvers
from gateway.interception.hold import Holds
from gateway.settings import Settings
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs
from store.vault import Vault

if TYPE_CHECKING:
    from gateway.agents.writeback import Writeback
    from gateway.identity_signin import IdentitySignIns
    from gateway.portal_session import PortalSessions
    from gateway.signin import PortalSignIn

Clock = Callable[[], dt.datetime]
EXTENSION = "sparekey"


def system_clock() -> dt.datetime:
    """Return the current aware UTC time."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One gateway's parts."""

    settings: Settings
    clock: Clock
    vault: Vault
    database: Database
    expiring: Expiring
    counters: Counters
    jobs: Jobs
    gate: Gate
    reset: Reset
    unlock: Unlock
    change: Change
    helping: Help
    registration: Registration
    work: ProofOfWork
    devices: KnownDevices
    moves: Moves
    holds: Holds
    signin: "PortalSignIn"
    identities: "IdentitySignIns"
    portal_sessions: "PortalSessions"
    writeback: "Writeback"
    """The directories behind agents."""
    call_backs: CallBacks
    hand_overs: HandOvers
    """To applications behind forward auth."""


def services() -> Services:
    """Return the parts of the application that serves this request."""
    return cast(Services, current_app.extensions[EXTENSION])
