"""The main job, performed over HTTP as a browser would, and told step by step.

Run by `sparekey demo --walk` as a program of its own. It imports nothing of Sparekey's, so that it can only
find what anybody would find: pages, links, forms, and the mail in the demo's outbox.
"""

import base64
import hashlib
import http.client
import json
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlencode, urljoin, urlsplit

ANSWER_SECONDS = 30
MAIL_SECONDS = 15
NO_MAIL_SECONDS = 1
LONGEST_WAIT_SECONDS = 120
MOST_REDIRECTS = 25
MOST_CONFIRMATIONS = 5

PRIVATE_ADDRESS = "alice.private@example.net"
LINK_WORDS = "Can't access your account?"


class StepFailed(Exception):
    """A step did not end as it has to; `why` is printed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def require(holds: object, why: str) -> None:
    """Fail the step unless something holds."""
    if not holds:
        raise StepFailed(why)


@dataclass
class Form:
    """A form as it stands on a page."""

    action: str
    method: str
    work: str
    """The proof of work that it asks for, as JSON; empty for none."""
    values: dict[str, str] = field(default_factory=dict)
    """What would be sent as it is: hidden fields, prefilled ones, the chosen radio button."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Field name to `type` and `autocomplete`, separated by a blank."""
    choices: dict[str, list[str]] = field(default_factory=dict)
    """Values of radio buttons, by name."""
    buttons: list[str] = field(default_factory=list)
    """The words on its submit buttons."""

    def name_of(self, *marks: str) -> str:
        """Return the first field whose name, type or autocomplete is one of the marks; empty for none."""
        fitting = (name for name, kind in self.kinds.items() if {name, *kind.split()} & set(marks))
        return next(fitting, "")


class Page(HTMLParser):
    """One answer, read as far as a person without scripts would use it."""

    def __init__(self, status: int, address: str, text: str) -> None:
        super().__init__()
        self.status = status
        self.address = address
        self.source = text
        self.title = ""
        self.heading = ""
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        """Words and address."""
        self._form: Form | None = None
        self._words: list[str] | None = None
        self._href = ""
        self.feed(text)

    def link(self, words: str) -> str:
        """Return the address of the first link whose words match a pattern; empty for none."""
        return next((href for text, href in self.links if re.search(words, text, re.IGNORECASE)), "")

    def form_with(self, *marks: str) -> Form | None:
        """Return the first form with such a field."""
        return next((form for form in self.forms if form.name_of(*marks)), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(
                given.get("action") or self.address,
                given.get("method", "get").lower(),
                given.get("data-work", ""),
            )
            self.forms.append(self._form)
        elif tag in {"input", "button"} and self._form is not None:
            _add_field(self._form, tag, given)
        if tag in {"title", "h1", "a", "button"}:
            self._words = []
            self._href = given.get("href", "")

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if self._words is not None:
            self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        if tag == "form":
            self._form = None
        if self._words is None or tag not in {"title", "h1", "a", "button"}:
            return
        words, self._words = " ".join("".join(self._words).split()), None
        if tag == "title":
            self.title = self.title or words
        elif tag == "h1":
            self.heading = self.heading or words
        elif tag == "a":
            self.links.append((words, self._href))
        elif self._form is not None:
            self._form.buttons.append(words)


def _add_field(form: Form, tag: str, given: Mapping[str, str]) -> None:
    name, kind, value = given.get("name", ""), given.get("type", "text"), given.get("value", "")
    if not name or tag == "button" or kind == "submit":
        return
    if kind == "radio":
        form.choices.setdefault(name, []).append(value)
    if kind not in {"radio", "checkbox"} or "checked" in given:
        form.values[name] = value
    form.kinds[name] = f"{kind} {given.get('autocomplete', '')}"


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
        raise StepFailed(f"redirected more than {MOST_REDIRECTS} times, last to {_shown(address)}")

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
            raise StepFailed(f"{_shown(address)} did not answer: {type(error).__name__}") from error
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


def _shown(address: str) -> str:
    """Return an address without its query, which may hold codes."""
    return address.partition("?")[0]


def solve(challenge: Mapping[str, object]) -> str:
    """Find the number that a proof of work asks for and return the answer to send."""
    salt, wanted = str(challenge["salt"]), str(challenge["challenge"])
    for number in range(int(str(challenge["maxnumber"])) + 1):
        if hashlib.sha256(f"{salt}{number}".encode()).hexdigest() == wanted:
            return base64.b64encode(json.dumps({**challenge, "number": number}).encode()).decode()
    raise StepFailed("the proof of work has no answer")


class Walk:
    """One run; every method is a step or a part of one."""

    def __init__(self, ready: Mapping[str, Any], out: TextIO) -> None:
        self._gateway = str(ready["gateway"])
        self._application = str(ready["relying_party"])
        self._outbox = f"{ready['outbox']}.json"
        self._old_password = next(p["password"] for p in ready["people"] if p["username"] == "alice")
        self._out = out
        self._browser = Browser()
        self._page = Page(0, "", "")
        self._known_pages: list[str] = []
        self._new_password = f"Walk-{secrets.token_hex(4)}-through-{secrets.token_hex(4)}"
        self._mail_before = 0

    def run(self) -> bool:
        """Perform every step; tell each; stop at the first that fails."""
        for number, (words, step) in enumerate(self._steps(), start=1):
            try:
                step()
            except (StepFailed, LookupError, TypeError, ValueError) as failed:
                why = failed.why if isinstance(failed, StepFailed) else f"{failed!r} on {self._where()}"
                self._say(f"{number:>2}. FAILED  {words}: {why}")
                return False
            self._say(f"{number:>2}. ok      {words}")
        self._say("The main job works from end to end.")
        return True

    def _say(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()

    def _steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        known = self._known_pages
        return (
            ("alice opens the application and gets to the sign-in page", self._open_sign_in),
            ("the sign-in page has the link for people who cannot sign in", self._see_link),
            ("her password is accepted, and she is interrupted", self._be_interrupted),
            ("she is not in the application yet", self._is_out),
            ("she registers a private address with the code that is mailed to it", self._register),
            ("she is let into the application, which knows her", self._be_released),
            ("she signs out", self._sign_out),
            ("a wrong password is refused", self._fail_to_sign_in),
            ("she follows the link and says who she is", lambda: self._say_who("alice", known)),
            ("she has a code mailed to the private address", lambda: self._choose_mail(known)),
            ("a wrong code is refused, the right one accepted", self._type_code),
            ("she sets a new password", self._set_password),
            ("back at the sign-in page the old password is refused", self._old_is_refused),
            ("the new password opens the application at once", self._new_is_accepted),
            ("a name that nobody has walks the same pages and gets no mail", self._walk_as_nobody),
        )

    def _form(self, *marks: str, missing: str) -> Form:
        form = self._page.form_with(*marks)
        if form is None:
            raise StepFailed(f"{missing}, but {self._where()}")
        return form

    def _open_sign_in(self) -> None:
        home = self._browser.open(f"{self._application}/")
        address = home.link(r"^sign in$")
        require(home.status == 200 and address, "the application shows no Sign in button")
        self._page = self._browser.open(urljoin(home.address, address))
        require(self._page.form_with("current-password"), f"no sign-in page, but {self._where()}")
        require(self._page.address.startswith(self._gateway), f"not at the gateway: {self._where()}")

    def _see_link(self) -> None:
        address = self._page.link(re.escape(LINK_WORDS))
        require(address, f"no link {LINK_WORDS!r}")
        require("/reset" in address, f"the link leads to {_shown(address)}")

    def _sign_in(self, password: str) -> None:
        form = self._form("current-password", missing="no sign-in page")
        values = {form.name_of("username", "email"): "alice", form.name_of("current-password"): password}
        self._page = self._browser.submit(self._page, form, values)

    def _be_interrupted(self) -> None:
        self._sign_in(self._old_password)
        require(not self._is_signed_in(), "the application was reached with nothing registered")
        require(
            "/sparekey/" in _shown(self._page.address), f"not at the registration portal, but {self._where()}"
        )
        went = [address for address in self._browser.visited if address.startswith(self._application)]
        require(not went, "the application's callback got an answer before the registration")

    def _is_out(self) -> None:
        home = self._browser.open(f"{self._application}/")
        require("Signed in as" not in home.source, "the application says that she is signed in")

    def _is_signed_in(self) -> bool:
        return self._page.address.startswith(self._application) and "Signed in as" in self._page.source

    def _register(self) -> None:
        if not self._page.form_with("email"):
            address = self._page.link(r"e-?mail")
            require(address, f"no way to add an address on {self._where()}")
            self._page = self._browser.open(urljoin(self._page.address, address))
        form = self._form("email", missing="no field for an address")
        values = {form.name_of("email"): PRIVATE_ADDRESS}
        # Among addresses that the organisation knows, the last choice is another one.
        values |= {name: choices[-1] for name, choices in form.choices.items()}
        self._mail_before = len(self._mail())
        self._page = self._browser.submit(self._page, form, values)
        self._give_code(self._mailed_code(PRIVATE_ADDRESS))
        require(not self._page.form_with("one-time-code"), f"the code was not accepted on {self._where()}")

    def _be_released(self) -> None:
        for _ in range(MOST_CONFIRMATIONS):
            if self._is_signed_in():
                break
            self._confirm(r"^continue|^go on|looks good")
        require(self._is_signed_in(), f"not in the application, but {self._where()}")
        require("alice" in self._page.source, "the application shows no claims of hers")

    def _confirm(self, words: str) -> None:
        """Press the button, or follow the link, that goes on."""
        for form in self._page.forms:
            if any(re.search(words, button, re.IGNORECASE) for button in form.buttons):
                self._page = self._browser.submit(self._page, form)
                return
        address = self._page.link(words)
        require(address, f"nothing to continue with on {self._where()}")
        self._page = self._browser.open(urljoin(self._page.address, address))

    def _sign_out(self) -> None:
        self._confirm(r"sign out")
        if not self._page.address.startswith(self._application):
            self._confirm(r"sign out|continue")
        self._is_out()
        self._open_sign_in()

    def _fail_to_sign_in(self) -> None:
        self._sign_in("not-her-password")
        require(self._page.form_with("current-password"), f"no sign-in page, but {self._where()}")

    def _say_who(self, identifier: str, pages: list[str]) -> None:
        """Go from the sign-in page to the first question after the name."""
        address = self._page.link(re.escape(LINK_WORDS))
        require(address, f"no link {LINK_WORDS!r} on {self._where()}")
        self._page = self._browser.open(urljoin(self._page.address, address))
        pages.append(self._page.heading)
        form = self._form("username", missing="no question for the name")
        values = {form.name_of("username"): identifier}
        if form.work:
            values["work"] = solve(json.loads(form.work))
        self._page = self._browser.submit(self._page, form, values)
        self._wait_if_asked()
        pages.append(self._page.heading)

    def _wait_if_asked(self) -> None:
        """Stay on a page that only lets time pass, as people without scripts do."""
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        while refresh := re.search(r'http-equiv="refresh" content="(\d+)', self._page.source):
            require(time.monotonic() < end, "made to wait for too long")
            time.sleep(min(int(refresh[1]), LONGEST_WAIT_SECONDS))
            self._page = self._browser.open(self._page.address)
        if re.search("waiting", self._page.heading, re.IGNORECASE):
            self._confirm("continue")

    def _choose_mail(self, pages: list[str]) -> None:
        """Choose mail where there is a choice; ends at the question for the code."""
        self._mail_before = len(self._mail())
        form = next((form for form in self._page.forms if "email" in form.choices.get("kind", [])), None)
        if form is not None:
            self._page = self._browser.submit(self._page, form, {"kind": "email"})
            pages.append(self._page.heading)
        require(self._page.form_with("one-time-code"), f"no question for a code, but {self._where()}")

    def _type_code(self) -> None:
        code = self._mailed_code(PRIVATE_ADDRESS)
        self._give_code(f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}")
        require(self._page.form_with("one-time-code"), f"a wrong code led to {self._where()}")
        self._known_pages.append(self._page.heading)
        self._give_code(code)
        require(self._page.form_with("new-password"), f"the right code led to {self._where()}")

    def _give_code(self, code: str) -> None:
        form = self._form("one-time-code", missing="no question for a code")
        self._page = self._browser.submit(self._page, form, {form.name_of("one-time-code"): code})

    def _set_password(self) -> None:
        form = self._form("new-password", missing="no question for a password")
        fields = [name for name, kind in form.kinds.items() if "new-password" in kind.split()]
        self._page = self._browser.submit(self._page, form, dict.fromkeys(fields, self._new_password))
        require(self._page.status == 200, f"answered {self._page.status} on {self._where()}")
        require(not self._page.form_with("new-password"), f"the password was refused on {self._where()}")

    def _old_is_refused(self) -> None:
        if not self._page.form_with("current-password"):
            self._confirm(r"sign.?in")
        self._sign_in(self._old_password)
        require(not self._is_signed_in(), "the old password still opens the application")
        require(self._page.form_with("current-password"), f"no sign-in page, but {self._where()}")

    def _new_is_accepted(self) -> None:
        self._sign_in(self._new_password)
        require(self._is_signed_in(), f"not in the application, but {self._where()}")

    def _walk_as_nobody(self) -> None:
        pages: list[str] = []
        self._browser = Browser()
        self._open_sign_in()
        self._say_who("nobody-has-this-name", pages)
        self._choose_mail(pages)
        self._give_code("123456")
        pages.append(self._page.heading)
        require(self._page.form_with("one-time-code"), f"a wrong code led to {self._where()}")
        require(pages == self._known_pages, f"the pages differ: {pages} and {self._known_pages}")
        # Mail leaves by a queue after the answer; what does not come can only be waited for.
        time.sleep(NO_MAIL_SECONDS)
        new = self._mail()[: len(self._mail()) - self._mail_before]
        require(not [message for message in new if _code_in(message)], "somebody was mailed a code")

    def _mail(self) -> list[dict[str, str]]:
        page = Browser().open(self._outbox)
        require(page.status == 200, f"the outbox answered {page.status}")
        messages: list[dict[str, str]] = json.loads(page.source)
        return messages

    def _mailed_code(self, address: str) -> str:
        """Wait for the newest mail to an address and return the code in it."""
        end = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < end:
            messages = self._mail()
            new = messages[: len(messages) - self._mail_before]
            codes = [_code_in(message) for message in new if message["to"] == address]
            if any(codes):
                return next(filter(None, codes))
            time.sleep(0.1)
        raise StepFailed(f"no mail with a code for {address} within {MAIL_SECONDS} s")

    def _where(self) -> str:
        """Say what page we are on, without its query."""
        page = self._page
        return f"{page.heading or page.title!r} at {_shown(page.address)} ({page.status})"


def _code_in(message: Mapping[str, str]) -> str:
    """Return the verification code in a mail; empty for none."""
    found = re.search(r"(?<!\d)\d{6}(?!\d)", message["text"])
    return found[0] if found else ""


def walk(ready: Mapping[str, Any], out: TextIO) -> bool:
    """Perform the main job against a demo, given its ready file's content; return whether it works."""
    return Walk(ready, out).run()


if __name__ == "__main__":
    succeeded = walk(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.stdout)
    sys.exit(0 if succeeded else 1)
