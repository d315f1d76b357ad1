"""Ends sessions at LemonLDAP::NG, through the REST session server of its portal.

Source: LemonLDAP::NG 2.16, `Portal::Plugins::RESTServer`, `Common::Session::REST`, `Common::Crypto`.
"""

import base64
import hashlib
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from idp_plugin.base import Subject
from idp_plugin.errors import IdpMisconfigured
from idp_plugin.oidc_provider import OidcProvider

_BLOCK_BYTES = 16
_KIND = "_session_kind"
_TYPES = {"SSO": "global", "OIDCI": "offline"}
"""Under what a session is deleted, by its kind; refresh tokens that outlive a session are the latter."""


class LemonldapSessions:
    """`base.IdpSessions` by the portal's own search, each session deleted by itself, then searched again."""

    def __init__(self, provider: OidcProvider) -> None:
        self._provider = provider

    def end_all(self, subject: Subject) -> int:
        """End every session and return how many are still there.

        Raises:
            IdpUnavailable: Not reached.
            IdpMisconfigured: It has no session server there, or does not believe our key.
        """
        for number, session in self._of(subject).items():
            kind = _TYPES.get(str(session.get(_KIND)), _TYPES["SSO"])
            self._asked("DELETE", f"{kind}/{quote(number, safe='')}")
        return len(self._of(subject))

    def self_check(self) -> None:
        """Search everybody's sessions for the attribute that names people; see `base.SelfChecking`."""
        # Where it lacks, a search finds nothing, and nobody would be signed out.
        found = self._found(_KIND, "SSO")
        if found and not any(session.get(self._attribute) for session in found.values()):
            raise IdpMisconfigured("idp.sessions_attribute")

    @property
    def _attribute(self) -> str:
        return self._provider.settings.sessions_attribute

    def _of(self, subject: Subject) -> Mapping[str, Mapping[str, Any]]:
        return self._found(self._attribute, subject.id)

    def _found(self, attribute: str, value: str) -> Mapping[str, Mapping[str, Any]]:
        """Return sessions by their id."""
        response = self._asked(
            "POST",
            "global",
            params={"all": "1", "search": f"{attribute},{value}"},
            json={"__secret": self._secret(), "data": [_KIND, self._attribute]},
        )
        try:
            found = response.json() if response.status_code == 200 else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise IdpMisconfigured("idp.sessions_path")
        return {number: session if isinstance(session, dict) else {} for number, session in found.items()}

    def _asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        address = f"{self._provider.address}{self._provider.settings.sessions_path}".rstrip("/")
        return self._provider.request(method, f"{address}/{path}", **options)

    def _secret(self) -> str:
        """Return what shows that we know the portal's key: the time, as the portal encrypts it."""
        key = self._provider.settings.sessions_key.get_secret_value()
        return encrypted(str(int(time.time())), key)


def encrypted(text: str, key: str) -> str:
    """Return a text as a portal with this key encrypts it.

    Args:
        text: Without zero bytes.
        key: The portal's setting `key`.
    """
    plain = text.encode()
    plain = plain.ljust(-(-len(plain) // _BLOCK_BYTES) * _BLOCK_BYTES, b"\0")
    vector = os.urandom(_BLOCK_BYTES)
    cipher = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(vector)).encryptor()
    sealed = cipher.update(hashlib.sha256(plain).digest() + plain) + cipher.finalize()
    return base64.b64encode(vector + sealed).decode()
