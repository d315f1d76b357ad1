"""One guarded application: its host, and the one cookie that it has of ours."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.cookies import FAMILY

COOKIE = f"{FAMILY}application"
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Application:
    """An application behind a proxy; decided about by its host alone (S13)."""

    origin: str
    """As people reach it, without a slash at the end."""
    host: str
    """Name, and port where it is not the scheme's own. What policies know it by."""
    cookie: str
    """The name of its cookie; `__Host-` over HTTPS, so that no other host can set it (S12)."""
    _values: re.Pattern[bytes]
    _attributes: str

    @classmethod
    def at(cls, origin: str) -> "Application":
        """Return the application at an origin of the settings."""
        parts = urlsplit(origin)
        is_https = parts.scheme == "https"
        is_default = parts.port in {None, DEFAULT_PORTS[parts.scheme]}
        host = parts.netloc.rpartition(":")[0] if parts.port and is_default else parts.netloc
        cookie = f"{'__Host-' if is_https else ''}{COOKIE}"
        return cls(
            origin=f"{parts.scheme}://{host}",
            host=host,
            cookie=cookie,
            _values=re.compile(rb"(?:^|;)\s*" + cookie.encode() + rb"=([^;]*)"),
            _attributes=f"; Path=/; HttpOnly; SameSite=Lax{'; Secure' if is_https else ''}",
        )

    def cookie_value(self, cookies: bytes) -> str:
        """Return what a `Cookie` field holds of ours; empty where that is nothing, or more than one thing.

        Security: of two, the browser says not which is its own; another host or path planted one (S12).
        """
        found = self._values.findall(cookies)
        return found[0].strip().decode("latin-1") if len(found) == 1 else ""

    def set_cookie(self, value: str) -> str:
        """Return the value of a `Set-Cookie` field; it lives as long as the browser runs."""
        return f"{self.cookie}={value}{self._attributes}"

    def drop_cookie(self) -> str:
        """Return the value of a `Set-Cookie` field that makes the browser forget it."""
        return f"{self.cookie}={self._attributes}; Max-Age=0"


def by_host(origins: Iterable[str]) -> dict[bytes, Application]:
    """Return the applications by every way in which a `Host` field may name them, in lower case."""
    found: dict[bytes, Application] = {}
    for application in map(Application.at, origins):
        scheme, _, host = application.origin.partition("://")
        found[host.encode()] = application
        if urlsplit(application.origin).port is None:
            found[f"{host}:{DEFAULT_PORTS[scheme]}".encode()] = application
    return found
