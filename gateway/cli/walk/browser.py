"""Cookies, redirects and forms over HTTP, and the work that some forms ask for."""

import base64
import hashlib
import http.client
import json
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode, urljoin, urlsplit

from .page import Form, Page

ANSWER_SECONDS = 30
MOST_REDIRECTS = 25


class StepFailed(Exception):
    """A step did not end as it has to; `why` is printed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def require(holds: object, why: str) -> None:
    """Fail the step unless something holds."""
    if not holds:
        raise StepFailed(why)


class Browser:
    """Cookies, redirects one at a time, forms. Like Chromium it sends Secure cookies to loopback."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], str] = {}
        """By host (without port, as browsers do), path and name."""
        self.visited: list[str] = []
        """Every address that was asked since the last `open` or `submit`."""

    def open(self, address: str) -> Page:
        """Follow a link or type an address."""
        self.visited = []
        return self._follow("GET", address, None, "")

    def submit(self, page: Page, form: Form, values: Mapping[str, str] | None = None) -> Page:
        """Send a form as it stands, with some values typed in."""
        self.visited = []
        body = urlencode(form.values | dict(values or {}))
        target = urljoin(page.address, form.action)
        if form.method != "post":
            return self._follow("GET", f"{target.partition('?')[0]}?{body}", None, page.address)
        return self._follow("POST", target, body.encode(), page.address)

    def _follow(self, method: str, address: str, body: bytes | None, referrer: str) -> Page:
        for _ in range(MOST_REDIRECTS):
            self.visited.append(address)
            status, location, text = self._ask(method, address, body, referrer)
            if not location:
                return self._sent_on(Page(status, address, text))
            address = urljoin(address, location)
            if status in {301, 302, 303}:
                method, body = "GET", None
        raise StepFailed(f"redirected more than {MOST_REDIRECTS} times, last to {shown(address)}")

    def _sent_on(self, page: Page) -> Page:
        """Submit a page that submits itself, as its script would."""
        if len(page.forms) == 1 and ".submit()" in page.source and page.forms[0].method == "post":
            form = page.forms[0]
            return self._follow(
                "POST", urljoin(page.address, form.action), urlencode(form.values).encode(), page.address
            )
        return page

    def _ask(
        self, method: str, address: str, body: bytes | None, referrer: str
    ) -> tuple[int, str | None, str]:
        parts = urlsplit(address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        headers = {"Accept": "text/html", "Accept-Language": "en", "User-Agent": "sparekey-walk"}
        if cookies := "; ".join(self._cookies_for(parts.hostname or "", parts.path)):
            headers["Cookie"] = cookies
        if body is not None:
            asking = urlsplit(referrer)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"{asking.scheme}://{asking.netloc}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise StepFailed(f"{shown(address)} did not answer: {type(error).__name__}") from error
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            self._keep(parts.hostname or "", line)
        is_redirect = response.status in {301, 302, 303, 307, 308}
        return response.status, response.headers["Location"] if is_redirect else None, text

    def _cookies_for(self, host: str, path: str) -> Iterator[str]:
        for (owner, below, name), value in self._cookies.items():
            if owner == host and (path == below or path.startswith(below.rstrip("/") + "/")):
                yield f"{name}={value}"

    def _keep(self, host: str, line: str) -> None:
        pair, *attributes = line.split(";")
        name, _, value = pair.strip().partition("=")
        told = dict(_pair(attribute) for attribute in attributes)
        key = (host, told.get("path") or "/", name)
        if told.get("max-age") == "0" or "1970" in told.get("expires", ""):
            self._cookies.pop(key, None)
        else:
            self._cookies[key] = value


def _pair(attribute: str) -> tuple[str, str]:
    name, _, value = attribute.strip().partition("=")
    return name.lower(), value


def shown(address: str) -> str:
    """Return an address without its query, which may hold codes."""
    return address.partition("?")[0]


def solve(challenge: Mapping[str, object]) -> str:
    """Find the number that a proof of work asks for and return the answer to send."""
    salt, wanted = str(challenge["salt"]), str(challenge["challenge"])
    for number in range(int(str(challenge["maxnumber"])) + 1):
        if hashlib.sha256(f"{salt}{number}".encode()).hexdigest() == wanted:
            return base64.b64encode(json.dumps({**challenge, "number": number}).encode()).decode()
    raise StepFailed("the proof of work has no answer")
