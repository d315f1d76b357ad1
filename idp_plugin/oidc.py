"""Any OpenID provider with a cookie session: who signed in is learnt by the silent check."""

from urllib.parse import urlsplit

from idp_plugin.authorization_answer import targets
from idp_plugin.base import AuthorizationAnswer, Exchange, SignIn, Unrecognised
from idp_plugin.cookie_fields import cookies_sent, cookies_set
from idp_plugin.known_sessions import KnownSessions
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.silent_check import SilentCheck


class OidcRecogniser:
    """Recognises sign-ins of one OpenID provider (`base.SignInRecogniser`).

    Args:
        redirect_uri: Of the gateway's own client; answers to it are not held.
        check: Of a provider that answers silent checks in a way of its own.
        session_cookies: Instead of those in the settings.
    """

    def __init__(
        self,
        provider: OidcProvider,
        *,
        redirect_uri: str,
        check: SilentCheck | None = None,
        session_cookies: tuple[str, ...] = (),
    ) -> None:
        self._provider = provider
        self._redirect_uri = redirect_uri
        self._check = check or SilentCheck(provider, redirect_uri=redirect_uri)
        self._known = KnownSessions()
        names = session_cookies or provider.settings.session_cookies
        self._cookies = tuple(name.encode() for name in names)

    @property
    def session_cookies(self) -> tuple[bytes, ...]:
        """Names of cookies whose setting makes a response worth reading."""
        return self._cookies

    @property
    def saml_paths(self) -> tuple[bytes, ...]:
        """Where sign-ins by SAML begin, there or below."""
        return tuple(path.encode() for path in self._provider.settings.saml_paths)

    @property
    def cas_paths(self) -> tuple[bytes, ...]:
        """Where sign-ins by CAS begin."""
        return tuple(path.encode() for path in self._provider.settings.cas_paths)

    @property
    def authorization_path(self) -> bytes:
        """Path of the authorization endpoint."""
        return urlsplit(self._provider.endpoint("authorization_endpoint")).path.encode()

    @property
    def token_path(self) -> bytes:
        """What the addresses begin with at which tokens are issued."""
        return urlsplit(self._provider.endpoint("token_endpoint")).path.encode()

    def answer(self, exchange: Exchange) -> AuthorizationAnswer | None:
        """Return the answer that leaves the provider's origin, if any."""
        for target in targets(exchange):
            if target.hands_over and not target.stays(self._provider.public):
                return target.answer()
        return None

    def sets_session(self, exchange: Exchange) -> bool:
        """Tell whether a session begins while the browser is sent away with neither answer nor error."""
        begins = any(not cookie.removes for name in self._cookies for cookie in cookies_set(exchange, name))
        return begins and any(
            not target.stays(self._provider.public) and not target.refuses for target in targets(exchange)
        )

    def recognise(self, exchange: Exchange, answer: AuthorizationAnswer) -> SignIn:
        """Make the silent check with the session that this response leaves the browser with."""
        del answer
        cookies = {}
        for name in self._cookies:
            value = session_cookie(exchange, name)
            if value:
                cookies[name.decode()] = value
        if not cookies:
            raise Unrecognised("no_session_cookie")
        return self._known.settle(self._check.ask(cookies))

    def resumption(self, exchange: Exchange) -> None:
        """Return nothing: no other provider than Keycloak is known to keep requests that are spent."""
        del exchange

    def forget(self, session_id: str) -> None:
        """Forget a session that has ended."""
        self._known.forget(self._provider.settings.issuer, session_id)

    def self_check(self) -> None:
        """Make the silent check without a session and expect `login_required`."""
        self._check.self_check()


def session_cookie(exchange: Exchange, name: bytes) -> str:
    """Return the value that the browser has after this response; empty where it has none.

    Raises:
        Unrecognised: Two values: nobody can tell which one the provider meant (S9).
    """
    changed = cookies_set(exchange, name)
    values = [cookie.value for cookie in changed if not cookie.removes]
    if not changed:
        values = cookies_sent(exchange, name)
    if len(values) > 1:
        raise Unrecognised("two_session_cookies")
    try:
        return values[0].decode("ascii") if values else ""
    except UnicodeDecodeError as error:
        raise Unrecognised("session_cookie_not_ascii") from error
