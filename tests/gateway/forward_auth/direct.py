"""A browser at an application whose proxy asks us in the plainest way: what it would send, asked directly."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from tests.gateway.forward_auth.around import NAVIGATION, WIKI, Around, Browser
from tests.servers.visitor import forms, onward


def redirect_of(answer: httpx.Response) -> str:
    """Return where a browser is led."""
    return onward(answer) or str(answer.headers.get("x-sparekey-location", ""))


@dataclass
class Direct:
    """One browser: what it has at applications, and its way at the gateway."""

    around: Around
    cookies: dict[str, str] = field(default_factory=dict)
    """Our cookie at each application's origin."""
    browser: Browser | None = None

    def stated(self, path: str, origin: str = WIKI) -> dict[str, str]:
        """Return what a proxy states of a visit."""
        return {
            "X_Forwarded_Host": urlsplit(origin).netloc,
            "X_Forwarded_Uri": path,
            "X_Forwarded_Method": "GET",
        }

    def sent(self, origin: str) -> dict[str, str]:
        """Return the browser's cookie field at an application."""
        value = self.cookies.get(origin)
        return {"Cookie": f"__Host-sparekey-application={value}"} if value else {}

    def ask(self, path: str, origin: str = WIKI, **fields: str) -> httpx.Response:
        """Let the proxy ask, as for a page unless fields say otherwise; keep the cookie that comes."""
        fields = fields or NAVIGATION
        answer = self.around.ask("x_forwarded", **self.stated(path, origin), **self.sent(origin), **fields)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            assert name == "__Host-sparekey-application"
            self.cookies[origin] = value
        return answer

    def to_ticket(self, address: str, username: str) -> str:
        """Go to the gateway, sign in there where that is asked, and return the address of the ticket."""
        self.browser = self.browser or self.around.browser()
        visitor = self.browser.visitor
        page = visitor.follow(visitor.get(address), until="https://")
        if not onward(page) and forms(page):
            password = self.around.world.around.passwords[username]
            # A session of the very moment in which another was ended counts as ended with it.
            self.around.world.clock.forward(milliseconds=1)
            form = forms(page)[0]
            answer = visitor.post(form.action, {**form.fields, "username": username, "password": password})
            page = visitor.follow(answer, until="https://")
        return redirect_of(page)

    def arrive(self, username: str, path: str = "/") -> str:
        """Go all the way round, and return the address at which the person arrives."""
        ticket = self.to_ticket(redirect_of(self.ask(path)), username)
        assert ticket.startswith(WIKI), ticket
        return redirect_of(self.ask(ticket.removeprefix(WIKI)))


def signed_in(around: Around, username: str = "bob") -> Direct:
    """Return a browser whose person has a session at the wiki."""
    person = Direct(around)
    assert person.arrive(username) == f"{WIKI}/"
    return person
