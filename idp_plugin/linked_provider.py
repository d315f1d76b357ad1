"""A further OpenID provider, at which people prove who they are; it is nobody's to configure but theirs."""

from urllib.parse import urlsplit

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.settings import IdpSettings, LinkedProviderSettings, is_confidential


class LinkedProvider(OidcProvider):
    """Metadata, keys and requests of a provider that is reached where everybody reaches it."""

    def __init__(self, linked: LinkedProviderSettings) -> None:
        parts = urlsplit(linked.issuer)
        origin = f"{parts.scheme}://{parts.netloc}"
        settings = IdpSettings(
            address=origin,
            issuer=linked.issuer,
            client_id=linked.client_id,
            client_secret=linked.client_secret,
            scope=linked.scope,
            tls_ca=linked.tls_ca,
            silent_check_seconds=linked.seconds,
        )
        super().__init__(settings, public=origin)

    def inside(self, address: str) -> str:
        """Return the address as it is: such a provider may answer at several hosts of its own.

        Raises:
            IdpMisconfigured: What is sent there would not be confidential.
        """
        # Security: the metadata came from the issuer itself, over TLS.
        if not is_confidential(address):
            raise IdpMisconfigured("identities.issuer")
        return address

    def _stated_origin(self) -> dict[str, str]:
        return {"User-Agent": "sparekey", "Accept-Encoding": "identity"}
