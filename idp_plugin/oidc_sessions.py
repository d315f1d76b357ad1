"""Ends sessions at a provider with an address for that, such as the demo's; and at one without."""

from idp_plugin.base import Subject
from idp_plugin.errors import IdpMisconfigured, IdpUnavailable
from idp_plugin.oidc_provider import OidcProvider

NOBODY = "sparekey-check-nobody"


class SessionsGoOn:
    """`base.IdpSessions` of a provider that offers no way to end somebody's sessions."""

    def end_all(self, subject: Subject) -> None:
        """End none."""
        del subject


class OidcSessions:
    """`base.IdpSessions` by one form post to `IdpSettings.sessions_path`, as the gateway's client."""

    def __init__(self, provider: OidcProvider) -> None:
        self._provider = provider

    def end_all(self, subject: Subject) -> int:
        """End every session and return how many the provider says remain.

        Raises:
            IdpUnavailable: Not reached, or no number came back.
            IdpMisconfigured: Our client may not.
        """
        provider = self._provider
        response = provider.request(
            "POST",
            provider.address + provider.settings.sessions_path,
            data={"subject": subject.id},
            auth=(provider.settings.client_id, provider.secret),
        )
        if response.status_code != 200:
            raise IdpMisconfigured("idp.client_id")
        try:
            return int(response.json()["remaining"])
        except (ValueError, KeyError, TypeError) as error:
            raise IdpUnavailable(provider.address) from error

    def self_check(self) -> None:
        """End the sessions of nobody; see `base.SelfChecking`."""
        self.end_all(Subject(self._provider.settings.issuer, NOBODY))
