"""Settings of forward auth."""

import ipaddress
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from idp_plugin.settings import is_confidential
from store.settings import Section

States = Literal["x_original", "x_forwarded", "path"]


class ForwardAuthProxySettings(Section):
    """A proxy that may ask."""

    address: str
    """Its address or network, as we see it."""
    states: States
    """How it states what the browser asked for: `x_original` is nginx's `X-Original-URL` and
    `X-Original-Method`, and such a proxy cannot pass a redirect on; `x_forwarded` is `X-Forwarded-Host`,
    `-Uri` and `-Method` of Traefik, Caddy and HAProxy; `path` is the `Host` and the path behind ours, of
    Envoy. Nothing else that it sends is believed, because it may come from the browser."""

    @field_validator("address")
    @classmethod
    def _network(cls, value: str) -> str:
        ipaddress.ip_network(value, strict=False)
        return value


class ForwardAuthSettings(Section):
    """Applications that know nothing of sign-ins, behind a proxy that asks here about every request."""

    listen: str = ""
    """Address and port at which proxies ask, apart from the public one; loopback or a private network's.
    Empty turns forward auth off."""
    proxies: tuple[ForwardAuthProxySettings, ...] = ()
    """Who may ask; the first that fits counts. Nobody by default."""
    applications: tuple[str, ...] = ()
    """Origins of the applications, for example `https://wiki.example.org`; whatever else is asked about is
    refused. In policies, an application's client id is its host, here `wiki.example.org`."""
    session_minutes: int = Field(default=60, ge=1, le=1440)
    """How long a browser stays signed in to one application. After that it is led round by the provider and
    the gate, unseen while the provider's own session lasts and nothing is due."""
    revoked_within_ms: int = Field(default=250, ge=0, le=1000)
    """How long after its end a session may still pass, in thousandths of a second. 0 asks Redis at every
    request."""

    @field_validator("listen")
    @classmethod
    def _not_public(cls, value: str) -> str:
        if not value:
            return value
        host, _, port = value.rpartition(":")
        # Security: whoever may ask learns who is signed in (S9, S13).
        if not port.isdecimal() or not _is_private(host.strip("[]")):
            raise ValueError("must be a loopback or private address with a port; it is never public")
        return value

    @field_validator("applications")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            _check_origin(origin)
        return tuple(origin.rstrip("/").lower() for origin in value)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.listen and not (self.proxies and self.applications):
            raise ValueError("proxies and applications are needed where anybody may ask")
        # Cookies know no ports.
        hosts = [urlsplit(origin).hostname for origin in self.applications]
        if len(set(hosts)) != len(hosts):
            raise ValueError("applications: two have the same host")
        return self


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private and not address.is_unspecified


def _check_origin(origin: str) -> None:
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("must be an origin such as https://wiki.example.org")
    if "@" in parts.netloc or parts.query or parts.fragment or not origin.isascii():
        raise ValueError("must be an origin such as https://wiki.example.org")
    # Source: RFC 6761 section 6.3, every name below `localhost` is this machine.
    if not is_confidential(origin) and not parts.hostname.endswith(".localhost"):
        raise ValueError("must be https: plain http is allowed on this machine only")
