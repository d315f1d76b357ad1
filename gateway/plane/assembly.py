"""Interception, put together from the settings."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from enforcement.breaker import Breaker
from enforcement.gate import Gate
from gateway.plane.decide import Decider
from gateway.plane.faults import Faults
from gateway.plane.hold import Holds
from gateway.plane.intercept import Interception
from gateway.plane.loop_guard import LoopGuard
from gateway.plane.plane_cookies import PlaneCookies
from gateway.plane.remembered import RememberedRequests
from gateway.plane.sign_in_audit import SignInAudit
from gateway.settings import GatewaySettings
from idp_plugin.errors import IdpUnavailable
from idp_plugin.keycloak.recogniser import KeycloakRecogniser
from idp_plugin.oidc import OidcRecogniser
from idp_plugin.oidc_provider import OidcProvider
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring


@dataclass(frozen=True, slots=True)
class Intercepting:
    """The parts that others reach for."""

    interceptor: Interception
    """For the plane."""
    holds: Holds
    """For the pages."""
    recogniser: KeycloakRecogniser | OidcRecogniser
    """`forget` for back-channel logout."""
    remembered: RememberedRequests
    """To be closed when the plane has stopped."""


def redirect_uri(settings: GatewaySettings) -> str:
    """Return the redirect address of the gateway's own client."""
    return f"{settings.public}{settings.prefix}/oidc/callback"


def recogniser_for(
    provider: OidcProvider, settings: GatewaySettings, gate: Gate
) -> KeycloakRecogniser | OidcRecogniser:
    """Return the recogniser that the settings ask for."""
    if provider.settings.kind == "keycloak":
        return KeycloakRecogniser(
            provider,
            redirect_uri=redirect_uri(settings),
            needs_claims=lambda: gate.current_policy().needs_groups,
        )
    return OidcRecogniser(provider, redirect_uri=redirect_uri(settings))


def assemble(
    settings: GatewaySettings,
    *,
    provider: OidcProvider,
    gate: Gate,
    database: Database,
    expiring: Expiring,
    executor: Executor,
    clock: Callable[[], dt.datetime],
) -> Intercepting:
    """Put interception together, after the provider proved that it answers as expected.

    Raises:
        IdpMisconfigured: The self-check failed: never open (interception.md, decision 3).
        IdpUnavailable: The provider does not answer.
    """
    recogniser = recogniser_for(provider, settings, gate)
    recogniser.self_check()
    cookies = PlaneCookies(settings)
    vault = expiring.vault
    audit = SignInAudit(database)
    guard = LoopGuard(Counters(expiring))
    holds = Holds(expiring=expiring, vault=vault, gate=gate, audit=audit, guard=guard, public=settings.public)
    remembered = RememberedRequests(expiring, executor)
    provider_breaker = Breaker([recogniser.self_check], faults=(IdpUnavailable,))
    decider = Decider(
        recogniser=recogniser,
        gate=gate,
        holds=holds,
        remembered=remembered,
        guard=guard,
        faults=Faults(
            gate=gate, provider_breaker=provider_breaker, audit=audit, vault=vault, cookies=cookies
        ),
        audit=audit,
        cookies=cookies,
        hold_address=f"{settings.public}{settings.prefix}/hold",
        clock=clock,
    )
    interceptor = Interception(
        recogniser=recogniser,
        decider=decider,
        remembered=remembered,
        cookies=cookies,
        executor=executor,
        public=settings.public,
        prefix=settings.prefix,
        authorization_path=recogniser.authorization_path,
        session_cookies=recogniser.session_cookies,
    )
    return Intercepting(interceptor, holds, recogniser, remembered)
