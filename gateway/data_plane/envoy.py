"""The whole configuration of an Envoy in front of the gateway, as text."""

import ipaddress
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.data_plane.lua_value import lua_value
from gateway.data_plane.nginx import (
    SYSTEM_AUTHORITIES,
    Edge,
    NotPrintableError,
    Recognised,
    documents,
    lua_settings,
)
from gateway.plane.origin import Origin
from gateway.settings import Settings
from store.vault import Vault

SOURCES = Path(__file__).with_name("envoy_sources")
MODULES = (
    *("encoding", "address", "cookie", "page", "link", "facts"),
    *("claim", "exchange", "request", "response"),
)
"""In the order in which each needs those before it."""
KILOBYTE = 1024
EVERY_ADDRESS = "0.0.0.0"
DEFAULT_PORTS = {"https": 443, "http": 80}
EDGE = """\
local request, response = require "sparekey.request", require "sparekey.response"
function envoy_on_request(handle)
  local is_done, failed = pcall(request.route, handle)
  if not is_done then
    handle:logErr("no lane could be chosen: " .. tostring(failed))
  end
end
envoy_on_response = response.at_edge
"""
ON_FAULT = EDGE.replace("request.route", "request.route_on_fault").replace("at_edge", "on_fault")


def configuration(settings: Settings, edge: Edge, *, recogniser: Recognised, vault: Vault) -> str:
    """Return the configuration, as YAML.

    Raises:
        NotPrintableError: An address or a network is none.
    """
    gateway = settings.gateway
    environment = Environment(
        loader=FileSystemLoader(SOURCES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML; every value is written by `_quoted`
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = _quoted
    told = _lua_settings(settings, edge, recogniser, vault)
    return environment.get_template("envoy.yaml.jinja").render(
        listen=_place(edge.listen),
        certificate=edge.certificate,
        key=edge.key,
        trusted_proxies=[_network(network) for network in edge.trusted_proxies],
        log=edge.places.log / "access.log",
        provider=_provider(settings),
        gateway=_place(gateway.listen),
        socket=f"pipe: {{ path: {_quoted(gateway.data_plane_socket)} }}",
        host=told["host"],
        timeouts=gateway.timeouts,
        limits=gateway.limits,
        head_kilobytes=-(-gateway.limits.head_bytes // KILOBYTE),
        buffer_bytes=gateway.limits.page_bytes,
        page_fields=[*told["page_fields"].items()],
        outage=_as_format(told["outage"]),
        lua_source=_lua(told),
        edge=EDGE,
        on_fault=ON_FAULT,
    )


def _lua_settings(settings: Settings, edge: Edge, recogniser: Recognised, vault: Vault) -> dict[str, Any]:
    """Return what the Lua of every plane is told, and what nginx has in its own words."""
    gateway, origin = settings.gateway, Origin(settings.gateway.public)
    public = [*documents(settings, edge)]
    return {
        **lua_settings(settings, recogniser, vault),
        "scheme": origin.scheme,
        "host": origin.host.decode(),
        "name": f"[{origin.name}]" if ":" in origin.name else origin.name,
        "port": str(origin.port),
        "body_bytes": gateway.limits.proxied_body_bytes,
        "documents": {path: True for how, path in public if how == "="},
        "documents_below": [path for how, path in public if how != "="],
        "own": {gateway.prefix: True, "/.well-known/change-password": True},
        "own_below": [f"{gateway.prefix}/"],
    }


def _lua(told: Mapping[str, object]) -> str:
    """Return all modules as one text, each loaded when another asks for it."""
    return "\n".join([f'package.loaded["sparekey.settings"] = {lua_value(told, 0)}', *_preloaded()])


def _preloaded() -> Iterable[str]:
    for name in MODULES:
        source = (SOURCES / f"{name}.lua").read_text("utf-8")
        yield f'package.preload["sparekey.{name}"] = function(...)\n{source}end\n'


def _provider(settings: Settings) -> Mapping[str, object]:
    address = urlsplit(settings.idp.address)
    host = address.hostname or ""
    return {
        "host": host,
        "port": address.port or DEFAULT_PORTS[address.scheme],
        "is_https": address.scheme == "https",
        "is_address": _is_address(host),
        "ca": settings.idp.tls_ca or SYSTEM_AUTHORITIES,
    }


def _place(listen: str) -> Mapping[str, object]:
    """Return address and port of `host:port`, or of a port alone."""
    host, _, port = listen.rpartition(":")
    if not (port.isdecimal() and port.isascii()):
        raise NotPrintableError(listen)
    return {"host": host.strip("[]") or EVERY_ADDRESS, "port": int(port)}


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise NotPrintableError(text) from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _as_format(page: str) -> str:
    """Return a page as Envoy's own answers have it, with the reference of the request."""
    return page.replace("%", "%%").replace("REFERENCE", "%DYNAMIC_METADATA(sparekey:reference):8%")


def _quoted(value: object) -> str:
    """Return a value as YAML reads it back: JSON is YAML."""
    return json.dumps(str(value))
