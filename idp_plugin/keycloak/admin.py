"""The admin API, as the gateway's own service account: the one place that knows python-keycloak."""

import base64
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from keycloak import KeycloakOpenIDConnection
from keycloak.exceptions import (
    KeycloakAuthenticationError,
    KeycloakConnectionError,
    KeycloakError,
    KeycloakGetError,
    raise_error_from_response,
)
from requests import Response
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from idp_plugin.errors import IdpMisconfigured, IdpRefused, IdpUnavailable, NotPermitted, OutcomeUnknown
from idp_plugin.settings import IdpSettings

SECONDS = 10
_REPEATABLE = frozenset({"GET", "DELETE"})


class RequestRefused(IdpRefused):
    """Keycloak understood a write and said no; nothing was changed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        """The key of its message, `invalidPasswordHistoryMessage`; empty where it gives none."""


class KeycloakAdmin:
    """Calls below one realm. Blocking; safe to share between threads.

    Every call raises:
        IdpUnavailable: No answer in time, or a server error.
        IdpMisconfigured: Our client is not known, or its secret is wrong.
        NotPermitted: The service account lacks a role.
    """

    def __init__(self, settings: IdpSettings) -> None:
        issuer_path = urlsplit(settings.issuer).path
        above, _, realm = issuer_path.rpartition("/realms/")
        self.issuer = settings.issuer
        self.realm = unquote(realm)
        self._settings = settings
        self._server = f"{settings.address.rstrip('/')}{above}/"

    def get(self, path: str, **query: str | int | bool) -> Any:
        """Return the JSON answer, or None where Keycloak knows no such thing.

        Args:
            path: Below the realm, its parts already quoted; `users/<id>`.
        """
        words = {
            name: str(value).lower() if value in {True, False} else str(value)
            for name, value in query.items()
        }
        return self._call("raw_get", path, words)

    def post(self, path: str) -> Any:
        """Post nothing; as `get`."""
        return self._call("raw_post", path, {}, data="")

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Put a JSON document; sent once, whatever becomes of it.

        Raises:
            RequestRefused: With the code.
            OutcomeUnknown: It was sent, and what came back tells nothing.
            NotPermitted: Also where there is no such thing.
        """
        # Asked for before, so that a token which cannot be had is not a write whose answer was lost.
        connection = self._signed_in()
        try:
            response = connection.raw_put(self._address(path), data=json.dumps(body))
        except KeycloakConnectionError:
            # Security: its request, in what caused this, holds what was to be written.
            raise OutcomeUnknown(self._server) from None
        except KeycloakError as error:
            raise IdpMisconfigured("idp.client_secret") from error
        if response.ok:
            return
        match response.status_code:
            case 400:
                raise RequestRefused(_code(response))
            case 401 | 403 | 404:
                raise NotPermitted("idp.client_id")
            case status if status >= 500:
                raise OutcomeUnknown(self._server)
            case _:
                raise IdpMisconfigured("idp.client_id")

    def delete(self, path: str, **query: str) -> Any:
        """Delete; as `get`."""
        # raw_delete sends no query parameters of its own, so they are part of the path.
        tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return self._call("raw_delete", f"{path}?{tail}" if tail else path, {})

    def own_subject(self) -> str:
        """Return the id of our service account; empty where its token does not say."""
        self.get("users/count")
        token = self._connection.token or {}
        part = str(token.get("access_token", "")).partition(".")[2].partition(".")[0]
        try:
            said = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except ValueError:
            return ""
        return str(said.get("sub", ""))

    @cached_property
    def _connection(self) -> KeycloakOpenIDConnection:
        settings = self._settings
        connection = KeycloakOpenIDConnection(
            server_url=self._server,
            realm_name=self.realm,
            client_id=settings.client_id,
            client_secret_key=settings.client_secret.get_secret_value(),
            verify=str(settings.tls_ca) if settings.tls_ca else True,
            timeout=SECONDS,
        )
        # The library would repeat a write whose answer did not come; what it cannot know, it must not do.
        for scheme in ("https://", "http://"):
            once = HTTPAdapter(max_retries=Retry(1, allowed_methods=_REPEATABLE))
            connection._s.mount(scheme, once)  # noqa: SLF001 - the library has a setting for all or none
        # Security: no proxy from the environment sees our secret or people's data.
        connection._s.trust_env = False  # noqa: SLF001 - the library offers no setting for it
        connection.keycloak_openid.connection._s.trust_env = False  # noqa: SLF001 - the same
        return connection

    def _call(self, method: str, path: str, query: dict[str, str], **body: str) -> Any:
        try:
            response = getattr(self._connection, method)(self._address(path), **body, **query)
            return raise_error_from_response(response, KeycloakGetError)
        except KeycloakAuthenticationError as error:
            raise IdpMisconfigured("idp.client_secret") from error
        except KeycloakConnectionError as error:
            raise IdpUnavailable(self._server) from error
        except KeycloakError as error:
            return self._refusal(error)

    def _address(self, path: str) -> str:
        return f"admin/realms/{quote(self.realm, safe='')}/{path}".rstrip("/")

    def _signed_in(self) -> KeycloakOpenIDConnection:
        self.get("users/count")
        return self._connection

    def _refusal(self, error: KeycloakError) -> None:
        code = error.response_code or 500
        if code == 404:
            return
        if code >= 500:
            raise IdpUnavailable(self._server) from error
        if code in {401, 403}:
            raise NotPermitted("idp.client_id") from error
        raise IdpMisconfigured("idp.client_id") from error


def _code(response: Response) -> str:
    try:
        said = response.json()
    except ValueError:
        return ""
    return str(said.get("error", "")) if isinstance(said, dict) else ""


def part(value: str) -> str:
    """Return a value as one part of a path: nothing in it can lead elsewhere."""
    return quote(value, safe="")
