"""Forward auth, put together from the settings."""

import contextlib
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from enforcement.gate import Gate
from gateway.ended_sessions import EndedSessions
from gateway.forward_auth.application import by_host
from gateway.forward_auth.application_session import ApplicationSessions
from gateway.forward_auth.door import Door
from gateway.forward_auth.hand_over import HandOvers
from gateway.forward_auth.known_sessions import KnownSessions
from gateway.forward_auth.settings import ForwardAuthSettings
from gateway.settings import GatewaySettings
from store.expiring import Expiring

THREADS = 4


def hand_overs(settings: ForwardAuthSettings, gateway: GatewaySettings, expiring: Expiring) -> HandOvers:
    """Return the way to the applications and back."""
    below = f"{gateway.prefix}/forward-auth"
    return HandOvers(
        expiring,
        by_host(settings.applications),
        address=f"{gateway.public}{below}/sign-in",
        arrival=f"{below}/arrive",
    )


def open_door(
    settings: ForwardAuthSettings,
    gateway: GatewaySettings,
    *,
    expiring: Expiring,
    gate: Gate,
    clock: Callable[[], dt.datetime],
    close: contextlib.ExitStack,
) -> Door:
    """Return what answers proxies.

    Args:
        close: Ends its threads.
    """
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="forward-auth")
    close.callback(executor.shutdown)
    ended = EndedSessions(expiring)
    sessions = ApplicationSessions(expiring, ended)
    return Door(
        known=KnownSessions(
            sessions,
            ended,
            executor=executor,
            clock=clock,
            delay=dt.timedelta(milliseconds=settings.revoked_within_ms),
        ),
        sessions=sessions,
        hand_overs=hand_overs(settings, gateway, expiring),
        gate=gate,
        executor=executor,
        clock=clock,
        lifetime=dt.timedelta(minutes=settings.session_minutes),
        own=f"{gateway.prefix}/forward-auth/".encode(),
        leaving=f"{gateway.prefix}/forward-auth/sign-out",
        sign_out=f"{gateway.public}{gateway.prefix}/oidc/logout",
    )
