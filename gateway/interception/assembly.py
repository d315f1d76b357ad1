"""Interception, put together from the settings."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from enforcement.breaker import Breaker
from enforcement.gate import Gate
from gateway.data_plane.claim import Claims
from gateway.interception.decide import Decider, no_claim
from gateway.interception.decide_token import TokenDecider
from gateway.interception.faults import Faults
from gateway.interception.hold import Holds
from gateway.interception.intercept import Interception
from gateway.interception.loop_guard import LoopGuard
from gateway.interception.plane_cookies import PlaneCookies
from gateway.interception.remembered import RememberedRequests
from gateway.interception.saml_passive import PassiveRefusals
from gateway.interception.sign_in_audit import SignInAudit
from gateway.interception.silent_refusal import SilentRefusal
from gateway.settings import GatewaySettings
from idp_plugin.base import IdpSessions, SessionEnder
from idp_plugin.errors import IdpUnavailable
from idp_plugin.keycloak.recogniser import KeycloakRecogniser
from idp_plugin.lemonldap import LemonldapRecogniser
from idp_plugin.oidc import OidcRecogniser
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.oidc_tokens import OidcTokens
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
    if provider.settings.kind == "lemonldap":
        return LemonldapRecogniser(provider, redirect_uri=redirect_uri(settings))
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
    sessions: IdpSessions | None = None,
) -> Intercepting:
    """Put interception together, after the provider proved that it answers as expected.

    Args:
        sessions: Ends what a refused grant began, where it can end one session alone.

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
    faults = Faults(gate=gate, provider_breaker=provider_breaker, audit=audit, vault=vault, cookies=cookies)
    decider = Decider(
        recogniser=recogniser,
        gate=gate,
        holds=holds,
        remembered=remembered,
        guard=guard,
        faults=faults,
        audit=audit,
        cookies=cookies,
        silent=SilentRefusal(provider, recogniser),
        passive=PassiveRefusals(provider),
        hold_address=f"{settings.public}{settings.prefix}/hold",
        clock=clock,
        claim=Claims(vault, cookies).fields if settings.data_plane_socket else no_claim,
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
        saml_paths=recogniser.saml_paths,
        cas_paths=recogniser.cas_paths,
        token_path=recogniser.token_path,
        token_decider=TokenDecider(
            tokens=OidcTokens(provider),
            gate=gate,
            faults=faults,
            portal=f"{settings.public}{settings.prefix}",
            sessions=sessions if isinstance(sessions, SessionEnder) else None,
            clock=clock,
        ),
    )
    return Intercepting(interceptor, holds, recogniser, remembered)
