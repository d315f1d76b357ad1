"""Who signs in, from the session cookie that Keycloak itself sets in the very response; else silently asked.

Source: Keycloak 26.4, `AuthenticationManager.createLoginCookie` (an internal format, therefore guarded by
shape); security rule S9.
"""

import ipaddress
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import structlog

from idp_plugin.authorization_answer import Target, targets
from idp_plugin.base import AuthorizationAnswer, Exchange, Resumption, SignIn, Subject, Unrecognised
from idp_plugin.cookie_fields import cookies_set
from idp_plugin.keycloak.resumption import resumption
from idp_plugin.known_sessions import KnownSessions
from idp_plugin.oidc import session_cookie
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.saml_response import read_response
from idp_plugin.silent_check import LONGEST_SUBJECT, SilentCheck
from idp_plugin.unverified_jwt import contents

COOKIE = b"KEYCLOAK_IDENTITY"
TYPE = "Serialized-ID"
AUTHORIZATION = "/protocol/openid-connect/auth"

log = structlog.get_logger()


class KeycloakRecogniser:
    """Recognises sign-ins of one realm (`base.SignInRecogniser`).

    Args:
        redirect_uri: Of the gateway's own client; answers to it are not held.
        needs_claims: Tells whether the policy needs what the cookie does not say, such as groups.
    """

    def __init__(
        self,
        provider: OidcProvider,
        *,
        redirect_uri: str,
        needs_claims: Callable[[], bool] = lambda: False,
    ) -> None:
        self._provider = provider
        self._redirect_uri = redirect_uri
        self._needs_claims = needs_claims
        self._check = SilentCheck(provider, redirect_uri=redirect_uri)
        self._known = KnownSessions()
        self._issuer = provider.settings.issuer
        self._realm_path = urlsplit(self._issuer).path + "/"
        self._realms_path = self._realm_path[: self._realm_path.rindex("/", 0, -1) + 1]
        self._believes_cookies = provider.settings.recognition == "cookie" and _is_private(provider.address)

    @property
    def session_cookies(self) -> tuple[bytes, ...]:
        """Names of cookies whose setting makes a response worth reading."""
        return (COOKIE,)

    @property
    def saml_paths(self) -> tuple[bytes, ...]:
        """Where sign-ins by SAML begin, there or below."""
        return (self._realm_path.encode() + b"protocol/saml",)

    @property
    def cas_paths(self) -> tuple[bytes, ...]:
        """Where sign-ins by CAS begin: an extension may speak it."""
        return (self._realm_path.encode() + b"protocol/cas/login",)

    @property
    def authorization_path(self) -> bytes:
        """Path of the authorization endpoint."""
        return (self._realm_path.removesuffix("/") + AUTHORIZATION).encode()

    @property
    def token_path(self) -> bytes:
        """What the addresses begin with at which tokens are issued: those of every protocol."""
        return (self._realm_path + "protocol/").encode()

    def answer(self, exchange: Exchange) -> AuthorizationAnswer | None:
        """Return the authorization answer of this realm, if any.

        On the provider's own origin only its own steps and consoles, and our own client's exact
        redirect_uri, are none (S8): a page there may show the code to whoever asked for it.
        """
        for target in targets(exchange):
            if (
                target.hands_over
                and not self._is_own(target)
                and not self._is_of_another_realm(exchange, target)
            ):
                return target.answer()
        return None

    def sets_session(self, exchange: Exchange) -> bool:
        """Tell whether a session of this realm begins in a response that is no known step of a sign-in."""
        begun = [cookie for cookie in cookies_set(exchange, COOKIE) if not cookie.removes]
        if not any(self._states_our_issuer(cookie.value) for cookie in begun):
            return False
        # The account console renews the cookie of a session that is there already.
        if self._is_console(exchange.target.partition(b"?")[0].decode("latin-1")):
            return False
        leads = list(targets(exchange))
        steps = (target.stays(self._provider.public) or target.refuses for target in leads)
        return not leads or not all(steps)

    def recognise(self, exchange: Exchange, answer: AuthorizationAnswer) -> SignIn:
        """Return who is signed in: from the response's own cookie where every condition of S9 holds."""
        stated = _stated_session(answer)
        believed = self._from_cookie(exchange, stated)
        if believed is None:
            return self._ask(exchange, stated)
        known = self._known.fresh(self._issuer, believed.session_id)
        if known and known.verified_by == "silent_check" and known.subject == believed.subject:
            return known
        if self._believes_cookies and not self._needs_claims():
            return self._known.settle(believed)
        return self._ask(exchange, stated)

    def resumption(self, exchange: Exchange) -> Resumption | None:
        """Return how a sign-in is taken up again from Keycloak's own cookie."""
        is_https = self._provider.public.startswith("https:")
        return resumption(exchange, self._realm_path, is_https=is_https)

    def forget(self, session_id: str) -> None:
        """Forget a session that has ended."""
        self._known.forget(self._issuer, session_id)

    def self_check(self) -> None:
        """Make the silent check without a session and expect `login_required`."""
        self._check.self_check()

    def _ask(self, exchange: Exchange, stated: str) -> SignIn:
        # Security: only this cookie is sent; the others would drag the browser's open tabs into the check.
        value = session_cookie(exchange, COOKIE)
        if not value:
            raise Unrecognised("no_session_cookie")
        return self._known.settle(self._check.ask({COOKIE.decode(): value}, session_id=stated))

    def _from_cookie(self, exchange: Exchange, stated: str) -> SignIn | None:
        """Return what the one cookie that this response sets says; None where anything does not fit (S9)."""
        cookies = cookies_set(exchange, COOKIE)
        from_realm = exchange.target.startswith(self._realm_path.encode())
        if len(cookies) != 1 or cookies[0].removes or not stated or not from_realm:
            return None
        if cookies[0].path != self._realm_path.encode():
            return None
        said = contents(cookies[0].value)
        subject, session_id = said.get("sub"), said.get("sid")
        fits = said.get("typ") == TYPE and said.get("iss") == self._issuer and session_id == stated
        if not fits or not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            return None
        return SignIn(Subject(self._issuer, subject), stated, "", verified_by="session_cookie")

    def _is_own(self, target: Target) -> bool:
        """Tell whether a target on the public origin is one of Keycloak's own steps, a console, or ours."""
        public = self._provider.public
        if not target.stays(public):
            return False
        if target.redirect_uri in {self._redirect_uri, self._redirect_uri.removeprefix(public)}:
            return True
        path = unquote(target.redirect_uri.removeprefix(public))
        return self._is_console(path) or self._is_below_a_realm(path, ("broker/", "login-actions/"))

    def _is_console(self, path: str) -> bool:
        """Tell whether a path belongs to the account console or the administration."""
        base = self._realms_path.removesuffix("realms/")
        is_administration = path.startswith(f"{base}admin/") and not _leads_elsewhere(path)
        return is_administration or self._is_below_a_realm(f"{path}/", ("account/",))

    def _is_below_a_realm(self, path: str, starts: tuple[str, ...]) -> bool:
        realm, _, below = path.removeprefix(self._realms_path).partition("/")
        is_below = path.startswith(self._realms_path) and bool(realm) and below.startswith(starts)
        return is_below and not _leads_elsewhere(path)

    def _is_of_another_realm(self, exchange: Exchange, target: Target) -> bool:
        """Tell whether the answer is certainly another realm's: its path, its `iss` or its cookie say so.

        Another realm's people are not ours to hold. Nothing tells operators about such realms yet (S14).
        """
        path = unquote(exchange.target.partition(b"?")[0].decode("latin-1"))
        if path.startswith(self._realm_path) or not path.startswith(self._realms_path):
            return False
        stated = target.answer().parameters.get("iss", "")
        cookies = [cookie.value for cookie in cookies_set(exchange, COOKIE) if not cookie.removes]
        issuers = {stated, *(str(contents(value).get("iss", "")) for value in cookies)} - {""}
        return bool(issuers) and self._issuer not in issuers

    def _states_our_issuer(self, cookie: bytes) -> bool:
        """Tell whether a session cookie is this realm's, or of a shape that nobody knows."""
        return bool(contents(cookie).get("iss", self._issuer) == self._issuer)


def _stated_session(answer: AuthorizationAnswer) -> str:
    """Return the session that an answer names; empty where it names none, or hides it."""
    if answer.protocol != "saml":
        return answer.parameters.get("session_state", "")
    response = read_response(answer.parameters.get("SAMLResponse", ""))
    # Spec: Keycloak 26.4, `SamlProtocol.authenticated`: the session's id, two colons, the client's.
    return response.session_index.partition("::")[0] if response else ""


def _leads_elsewhere(path: str) -> bool:
    """Tell whether a path may end up somewhere else than it begins."""
    return "/." in path or ";" in path


def _is_private(address: str) -> bool:
    """Tell whether nobody can have changed a response on its way: TLS, or this machine (S9)."""
    parts = urlsplit(address)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
