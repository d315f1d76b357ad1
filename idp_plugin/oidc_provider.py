"""One OpenID provider as the gateway reaches it: its metadata, its keys, one HTTP client.

Requests go to the internal address and state the public origin, so that the provider builds the same
issuer and the same addresses for us as for browsers.
"""

import ssl
import threading
import time
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import KeySet

from idp_plugin.errors import IdpMisconfigured, IdpUnavailable
from idp_plugin.settings import IdpSettings

SIGNING_KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
KEYS_ASKED_AGAIN_AFTER = 10.0
"""Seconds; an unknown key id makes us fetch the keys again, but nobody may make us do it all the time."""


class OidcProvider:
    """Metadata, keys and requests of one provider. Blocking; safe to share between threads.

    Args:
        public: The origin at which people reach the provider: the gateway's.
    """

    def __init__(self, settings: IdpSettings, *, public: str) -> None:
        self.settings = settings
        self.public = public
        self.address = settings.address.rstrip("/")
        self.secret = settings.client_secret.get_secret_value()
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._keys_at = 0.0
        # An unused context costs 20 ms, so plain http gets none.
        secure = self.address.startswith("https:")
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=settings.tls_ca) if secure else False,
            timeout=settings.silent_check_seconds,
            trust_env=False,
            follow_redirects=False,
            # Security: a cookie of one person's check must never reach the next one's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers=self._stated_origin(),
        )

    def request(self, method: str, address: str, **options: Any) -> httpx.Response:
        """Send one request to an address as the metadata names it.

        Raises:
            IdpUnavailable: No answer in time, or a server error.
        """
        try:
            response = self._client.request(method, self.inside(address), **options)
        except httpx.HTTPError as error:
            raise IdpUnavailable(self.address) from error
        if response.status_code >= 500:
            raise IdpUnavailable(self.address)
        return response

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The discovery document.

        Raises:
            IdpUnavailable: Not reached.
            IdpMisconfigured: Not there, or of another issuer.

        Source: OpenID Connect Discovery 1.0 section 4.
        """
        path = urlsplit(self.settings.issuer).path.rstrip("/")
        found = _json_object(
            self.request("GET", f"{self.address}{path}/.well-known/openid-configuration"), "idp.issuer"
        )
        if found.get("issuer") != self.settings.issuer:
            raise IdpMisconfigured("idp.issuer")
        return found

    def endpoint(self, name: str) -> str:
        """Return an endpoint of the metadata, for example `token_endpoint`."""
        address = self.metadata.get(name)
        if not isinstance(address, str):
            raise IdpMisconfigured(name)
        return address

    def inside(self, address: str) -> str:
        """Return where we reach a public address of the provider, without going through the gateway."""
        if address.startswith(f"{self.public}/"):
            return self.address + address[len(self.public) :]
        if address.startswith(f"{self.address}/"):
            return address
        # Security: secrets and cookies go to the configured provider only.
        raise IdpMisconfigured("idp.address")

    def keys(self, *, again: bool = False) -> KeySet:
        """Return the provider's signing keys; `again` fetches them anew, but not too often."""
        with self._lock:
            recent = time.monotonic() - self._keys_at < KEYS_ASKED_AGAIN_AFTER
            if self._keys is None or (again and not recent):
                document = _json_object(self.request("GET", self.endpoint("jwks_uri")), "jwks_uri")
                self._keys = _signing_keys(document)
                self._keys_at = time.monotonic()
            return self._keys

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _stated_origin(self) -> dict[str, str]:
        parts = urlsplit(self.public)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return {
            "Host": parts.netloc,
            "X-Forwarded-Proto": parts.scheme,
            "X-Forwarded-Host": parts.netloc,
            "X-Forwarded-Port": str(port),
            "User-Agent": "sparekey",
            "Accept-Encoding": "identity",
        }


def _signing_keys(document: dict[str, Any]) -> KeySet:
    found = document.get("keys")
    usable = [
        key
        for key in (found if isinstance(found, list) else [])
        if key.get("kty") in SIGNING_KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    if not usable:
        raise IdpMisconfigured("jwks_uri")
    return KeySet.import_key_set({"keys": usable})


def _json_object(response: httpx.Response, what: str) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        document = None
    if response.status_code != 200 or not isinstance(document, dict):
        raise IdpMisconfigured(what)
    return document
