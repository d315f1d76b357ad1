"""What a browser does, as far as the demo's pages need it: cookies, redirects one by one, forms."""

import html
import re
from typing import Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

from idp_plugin.demo.servers import RunningDemo


class Browser:
    """Follows redirects only where asked to."""

    def __init__(self, demo: RunningDemo) -> None:
        self.demo = demo
        self.http = httpx.Client(trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, address: str, **more: str) -> httpx.Response:
        return self.http.get(address, headers=more)

    def open_application(self, **parameters: str) -> httpx.Response:
        """Begin a sign-in at the relying party; return what the provider answers."""
        sent = self.http.get(f"{self.demo.addresses.application}/sign-in", params=parameters)
        return self.http.get(sent.headers["location"])

    def submit(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Fill the page's form and send it, to where it says."""
        action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
        assert action, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        values = {name: html.unescape(value) for name, value in hidden.items()} | fields
        address = urljoin(str(page.url), html.unescape(action[1]))
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(str(page.url)))
        return self.http.post(address, data=values, headers={"Origin": origin})

    def sign_in(self, page: httpx.Response, username: str, password: str | None = None) -> httpx.Response:
        """Give name and password to the sign-in page."""
        return self.submit(
            page, username=username, password=password or self.demo.passwords.get(username, "wrong")
        )

    def follow(self, response: httpx.Response) -> httpx.Response:
        """Follow redirects to the end."""
        while response.is_redirect:
            response = self.http.get(urljoin(str(response.url), response.headers["location"]))
        return response


def answer(response: httpx.Response) -> dict[str, str]:
    """Return the parameters of an authorization answer in a redirect."""
    return dict(parse_qsl(urlsplit(response.headers["location"]).query, keep_blank_values=True))
