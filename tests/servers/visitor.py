"""A browser without a screen: one request at a time, cookies kept the way Chromium keeps them.

The usual cookie jars send no `Secure` cookie to `http://127.0.0.1`; browsers do, and Keycloak relies on it.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import httpx

REDIRECTS = 12
FORM = re.compile(r"<form\b[^>]*>", re.IGNORECASE)
INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


def _client() -> httpx.Client:
    # Nobody has to close a client that keeps no connection.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(trust_env=False, timeout=30, limits=limits)


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it stands on a page."""

    action: str
    """Absolute."""
    fields: Mapping[str, str]
    """Names and values of its inputs."""


@dataclass(slots=True)
class Visitor:
    """Somebody with cookies."""

    client: httpx.Client = field(default_factory=_client)
    """Sends."""
    cookies: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By host, path and name; ports share, as in browsers."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request."""

    def get(self, url: str) -> httpx.Response:
        """Fetch without following."""
        return self.send("GET", url)

    def post(self, url: str, fields: Mapping[str, str]) -> httpx.Response:
        """Submit a form without following."""
        return self.send("POST", url, fields)

    def send(self, method: str, url: str, fields: Mapping[str, str] | None = None) -> httpx.Response:
        """Send one request with the cookies that belong to it, and keep those that come."""
        # The client's own jar stays empty: what it would keep is not what a browser keeps.
        self.client.cookies.clear()
        cookies = self._matching(url)
        headers = {**self.headers, **({"Cookie": cookies} if cookies else {})}
        answer = self.client.request(method, url, data=fields, headers=headers)
        for line in answer.headers.get_list("set-cookie"):
            self._keep(urlsplit(url).hostname or "", line)
        return answer

    def follow(self, answer: httpx.Response, *, until: str = "") -> httpx.Response:
        """Follow redirects; stop before an address that starts with `until`."""
        for _ in range(REDIRECTS):
            location = onward(answer)
            if not location or (until and location.startswith(until)):
                return answer
            answer = self.get(urljoin(str(answer.url), location))
        raise AssertionError(f"more than {REDIRECTS} redirects, the last to {onward(answer)}")

    def submit(self, page: httpx.Response, *, form: int = 0, **fields: str) -> httpx.Response:
        """Fill in one of the page's forms, submit it, and follow."""
        found = forms(page)[form]
        return self.follow(self.post(found.action, {**found.fields, **fields}))

    def _matching(self, url: str) -> str:
        parts = urlsplit(url)
        path = parts.path or "/"
        return "; ".join(
            f"{name}={value}"
            for (host, scope, name), value in self.cookies.items()
            if host == parts.hostname and (path == scope or path.startswith(scope.rstrip("/") + "/"))
        )

    def _keep(self, host: str, line: str) -> None:
        pair, *rest = (part.strip() for part in line.split(";"))
        name, _, value = pair.partition("=")
        attributes = {key.lower(): said for key, _, said in (part.partition("=") for part in rest)}
        key = (host, attributes.get("path", "/"), name)
        if attributes.get("max-age") == "0" or "1970" in attributes.get("expires", ""):
            self.cookies.pop(key, None)
        else:
            self.cookies[key] = value


def onward(answer: httpx.Response) -> str:
    """Return where an answer sends the browser: by a redirect, or by a page that goes on by itself."""
    refresh = answer.headers.get("refresh", "").partition("url=")[2]
    return str(answer.headers.get("location", refresh))


def forms(page: httpx.Response) -> list[Form]:
    """Return the page's forms in order."""
    text = page.text
    starts = [*FORM.finditer(text)]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return [_form(page, start, text[start.end() : end]) for start, end in zip(starts, ends, strict=True)]


def _form(page: httpx.Response, start: re.Match[str], inside: str) -> Form:
    inside = inside.partition("</form>")[0]
    inputs = [_attributes(tag) for tag in INPUT.findall(inside)]
    fields = {a["name"]: a.get("value", "") for a in inputs if "name" in a and a.get("type") != "checkbox"}
    return Form(urljoin(str(page.url), _attributes(start.group()).get("action", "")), fields)


def _attributes(tag: str) -> dict[str, str]:
    return {name.lower(): html.unescape(a or b) for name, a, b in ATTRIBUTE.findall(tag)}
