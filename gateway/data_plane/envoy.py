"""The whole configuration of an Envoy in front of the gateway, as text."""

import ipaddress
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.data_plane.envoy_routes import Routes, harmless_documents
from gateway.data_plane.lua_value import lua_value
from gateway.data_plane.nginx import SYSTEM_AUTHORITIES, Edge, Recognised, documents, lua_settings
from gateway.data_plane.printable import NotPrintableError
from gateway.plane.origin import Origin
from gateway.settings import Settings
from store.vault import Vault

SOURCES = Path(__file__).with_name("envoy_sources")
LOOKING = ("encoding", "address", "cookie", "page", "answer", "facts", "exchange", "random", "reply")
"""Lua that looks at answers, wherever they come from. In the order in which each needs those before it."""
EVERYTHING = (*LOOKING, "link", "claim", "request", "response")
DOCUMENTS = (*LOOKING, "documents")
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
AT_DOCUMENTS = 'envoy_on_response = require("sparekey.documents").at_edge'
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
    routes = _routes(settings, edge, told)
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
        edge=_lua(told, EVERYTHING, EDGE),
        documents_source=_lua(told, DOCUMENTS, AT_DOCUMENTS),
        on_fault=_lua(told, EVERYTHING, ON_FAULT),
        routes=_json(routes.at_edge()),
        fault_routes=_json(routes.on_fault()),
        harmless_documents=_json(harmless_documents()),
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


def _routes(settings: Settings, edge: Edge, told: Mapping[str, Any]) -> Routes:
    return Routes(
        scheme=told["scheme"],
        host=told["host"],
        name=told["name"],
        port=told["port"],
        authorization_path=told["authorization_path"],
        documents=[*documents(settings, edge)],
        dropped=told["dropped"],
        dropped_starts=told["dropped_starts"],
        idle_seconds=settings.gateway.timeouts.upstream,
    )


def _lua(told: Mapping[str, object], modules: Iterable[str], last: str) -> str:
    """Return modules as one text, each loaded when another asks for it, and what Envoy calls."""
    stated = f'package.loaded["sparekey.settings"] = {lua_value(told, 0)}'
    return "\n".join([stated, *map(_preloaded, modules), last])


def _preloaded(name: str) -> str:
    source = (SOURCES / f"{name}.lua").read_text("utf-8")
    return f'package.preload["sparekey.{name}"] = function(...)\n{source}end\n'


def _json(value: object) -> str:
    """Return a value on lines of its own; JSON is YAML."""
    return json.dumps(value, indent=2)


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
