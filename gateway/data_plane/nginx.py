"""The whole configuration of an nginx in front of the gateway, as text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.cookies import Cookie, cookie_name
from gateway.data_plane.claim import public_keys
from gateway.data_plane.direct_requests import BROWSER_FIELDS, DOCUMENT_FIELDS, PLAIN_REQUEST, variable
from gateway.data_plane.exchange import COUNTED
from gateway.data_plane.guard import Guarded, guard_context, guard_settings
from gateway.data_plane.lua_value import lua_value
from gateway.data_plane.printable import in_quotes, plain
from gateway.interception import sign_in_pages
from gateway.interception.link import WORDING_HTML
from gateway.interception.plane_cookies import PlaneCookies
from gateway.plane.origin import Origin
from gateway.plane.refusal_page import HEADERS
from gateway.plane.request_head import NON_CANONICAL_PATH
from gateway.plane.rewriting import REQUEST_FIELDS, REQUEST_PREFIXES, Treatment
from gateway.settings import Settings
from idp_plugin.authorization_answer import HANDED_OVER
from store.vault import Vault

SOURCES = Path(__file__).with_name("nginx_sources")
NJS_SOURCES = Path(__file__).with_name("njs_sources")
MODULES = ("values", "claim", "python", "request", "link", "pages", "response")
TEMPLATES = Environment(
    loader=FileSystemLoader([SOURCES, NJS_SOURCES]),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - no HTML; every value is checked by `plain`
    keep_trailing_newline=True,
)
SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
ASK_SECONDS = 60
FORWARDED = {Treatment.FORWARDED, Treatment.FORWARDED_FOR, Treatment.FORWARDED_HOST}
STATED_OF_BYTES = ("Content-Digest", "Content-MD5", "Digest", "Repr-Digest")
"""Of pages that may change nobody states what they were."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where nginx keeps what it writes; as Debian has them."""

    run: Path = Path("/run")
    log: Path = Path("/var/log/nginx")
    state: Path = Path("/var/lib/nginx")
    modules: Path = Path("/usr/lib/nginx/modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the settings do not say of the server in front."""

    listen: str
    """`host:port` or a port."""
    certificate: Path | None = None
    """PEM file with the chain; without it plain HTTP, on loopback only."""
    key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Networks of balancers before it whose `X-Forwarded-For` is believed."""
    guarded: tuple[Guarded, ...] = ()
    """Applications behind this server."""
    documents: tuple[str, ...] = ()
    """Paths below which everything is public, each with a slash at its end."""
    user: str = "www-data"
    workers: str = "auto"
    places: Places = Places()


class Recognised(Protocol):
    """What a recogniser knows of its provider."""

    @property
    def session_cookies(self) -> tuple[bytes, ...]:
        """Names of the cookies that carry a session."""

    @property
    def authorization_path(self) -> bytes:
        """Path of the authorization endpoint."""


def configuration(settings: Settings, edge: Edge, *, recogniser: Recognised, vault: Vault) -> str:
    """Return the configuration.

    Raises:
        NotPrintableError: A path or name holds what nginx would read otherwise.
    """
    told = lua_settings(settings, recogniser, vault)
    if edge.guarded:
        told |= guard_settings(settings, edge.guarded)
    return TEMPLATES.get_template("nginx.conf.jinja").render(
        **stated(settings, edge, recogniser),
        script_template="lua.jinja",
        modules=[edge.places.modules / name for name in ("ndk_http_module.so", "ngx_http_lua_module.so")],
        settings=lua_value(told),
        sources=lua_sources(*MODULES, *(["guard"] if edge.guarded else [])),
    )


def stated(settings: Settings, edge: Edge, recogniser: Recognised) -> dict[str, object]:
    """Return what the configuration states in nginx's own words, whatever its script is written in."""
    gateway, idp = settings.gateway, settings.idp
    origin = Origin(gateway.public)
    provider = urlsplit(idp.address)
    return {
        "user": plain(edge.user),
        "workers": plain(edge.workers),
        "places": edge.places,
        "listen": plain(edge.listen),
        "certificate": plain(edge.certificate),
        "key": plain(edge.key),
        "trusted_proxies": [plain(proxy) for proxy in edge.trusted_proxies],
        "non_canonical": in_quotes(NON_CANONICAL_PATH.pattern.decode().replace(r"\Z", r"\Z|\?")),
        "provider": {
            "authority": plain(_authority(idp.address)),
            "scheme": provider.scheme,
            "is_https": provider.scheme == "https",
            "name": plain(provider.hostname),
            "ca": plain(idp.tls_ca or SYSTEM_AUTHORITIES),
        },
        "gateway": plain(gateway.listen),
        **guard_context(settings, edge.guarded),
        "timeouts": gateway.timeouts,
        "limits": gateway.limits,
        "authorization_path": plain(recogniser.authorization_path.decode()),
        "plain_request": in_quotes(PLAIN_REQUEST),
        "document_fields": [(field, variable(field)) for field in DOCUMENT_FIELDS],
        "browser_fields": [(field, variable(field)) for field in BROWSER_FIELDS],
        "stated_of_bytes": STATED_OF_BYTES,
        "host": plain(origin.host.decode()),
        "name": plain(origin.name),
        "scheme": origin.scheme,
        "port": origin.port,
        "documents": [f"{how} {plain(path)}" for how, path in documents(settings, edge)],
        "own_locations": [
            f"= {plain(gateway.prefix)}",
            f"^~ {gateway.prefix}/",
            "= /.well-known/change-password",
        ],
    }


def applications_alone(settings: Settings, guarded: Sequence[Guarded], *, listen: str) -> str:
    """Return the part of a configuration that guards applications, for an nginx that has everything else.

    Raises:
        NotPrintableError: A path or name holds what nginx would read otherwise.
    """
    return TEMPLATES.get_template("applications.conf.jinja").render(
        **guard_context(settings, guarded),
        listen=plain(listen),
        settings=lua_value(guard_settings(settings, guarded)),
        sources=lua_sources("python", "pages", "guard"),
    )


def lua_sources(*modules: str) -> list[tuple[str, str]]:
    """Return modules of Lua with their text."""
    return [(name, (SOURCES / f"{name}.lua").read_text("utf-8")) for name in modules]


def lua_settings(settings: Settings, recogniser: Recognised, vault: Vault) -> dict[str, object]:
    """Return what the Lua of every plane is told."""
    gateway = settings.gateway
    cookies = PlaneCookies(gateway)
    browser = cookies.browser(())
    name, _, value = browser.set_cookie[0][1].decode().partition("=")
    attributes = value.removeprefix(browser.id)
    secure = "; Secure" if gateway.is_https else ""
    at_end = f"; Path=/; HttpOnly; SameSite=Lax{secure}"
    dropped = [field for field, what in REQUEST_FIELDS.items() if what is Treatment.DROP or what in FORWARDED]
    return {
        "socket": str(gateway.data_plane_socket),
        "public": gateway.public,
        "prefix": gateway.prefix,
        "issuer": settings.idp.issuer,
        "provider": f"{urlsplit(settings.idp.address).scheme}://sparekey_provider",
        "authorization_path": recogniser.authorization_path.decode(),
        "session_cookies": [cookie.decode() for cookie in recogniser.session_cookies],
        "handed_over": sorted(name.lower() for name in HANDED_OVER),
        "keys": list(public_keys(vault)),
        "counted": list(COUNTED),
        "page_bytes": gateway.limits.page_bytes,
        "decided": cookie_name(Cookie.DECIDED, gateway),
        "requests": {"name": name, "attributes": attributes},
        "ask": {
            "name": cookie_name(Cookie.ASK, gateway),
            "attributes": f"{at_end}; Max-Age={ASK_SECONDS}",
            "removed": f"{at_end}; Max-Age=0",
        },
        "dropped": {field.decode(): True for field in dropped},
        "dropped_starts": [start.decode() for start in REQUEST_PREFIXES],
        "wording": {language: wording.decode() for language, wording in WORDING_HTML.items()},
        "page_fields": dict(line.split(": ", 1) for line in HEADERS.splitlines()),
        "outage": _page(sign_in_pages.OUTAGE),
        "unverified": _page(sign_in_pages.UNVERIFIED),
    }


def _page(page: tuple[int, str, str]) -> str:
    return sign_in_pages.stopped(page, "REFERENCE").body.decode()


def documents(settings: Settings, edge: Edge) -> Iterable[tuple[str, str]]:
    """Yield what everybody may read, as nginx's locations: exact paths, and beginnings of paths."""
    realm = urlsplit(settings.idp.issuer).path.rstrip("/")
    yield "=", f"{realm}/.well-known/openid-configuration"
    below = edge.documents
    if settings.idp.kind == "keycloak":
        yield "=", f"{realm}/protocol/openid-connect/certs"
        below = below or (f"{realm.partition('/realms/')[0]}/resources/",)
    for path in below:
        yield "^~", path


def _authority(address: str) -> str:
    parts = urlsplit(address)
    return parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
