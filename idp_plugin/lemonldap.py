"""LemonLDAP::NG: one session cookie for sign-ins by OpenID Connect, SAML and CAS.

Source: LemonLDAP::NG 2.16, `Portal::Issuer::OpenIDConnect`, `::SAML`, `::CAS`, and its default paths.
"""

from idp_plugin.oidc import OidcRecogniser
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.silent_check import SilentCheck

COOKIE = "lemonldap"
SAML = b"/saml/singleSignOn"
CAS = b"/cas/login"


class LemonldapRecogniser(OidcRecogniser):
    """Recognises sign-ins of one portal (`base.SignInRecogniser`).

    Args:
        redirect_uri: Of the gateway's own client; answers to it are not held.
    """

    def __init__(self, provider: OidcProvider, *, redirect_uri: str) -> None:
        # Without a session it shows its sign-in page, whatever `prompt=none` asks.
        check = SilentCheck(provider, redirect_uri=redirect_uri, page_is_no_session=True)
        cookies = provider.settings.session_cookies or (COOKIE,)
        super().__init__(provider, redirect_uri=redirect_uri, check=check, session_cookies=cookies)

    @property
    def saml_paths(self) -> tuple[bytes, ...]:
        """Where sign-ins by SAML begin, there or below."""
        return super().saml_paths or (SAML,)

    @property
    def cas_paths(self) -> tuple[bytes, ...]:
        """Where sign-ins by CAS begin."""
        return super().cas_paths or (CAS,)
