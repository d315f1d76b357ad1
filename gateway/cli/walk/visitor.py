"""What everybody does on the way: opens pages, fills in forms, presses buttons, reads mail."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from .browser import Browser, StepFailed, require, shown, solve
from .page import Form, Page

MAIL_SECONDS = 15
LONGEST_WAIT_SECONDS = 120
MOST_CONFIRMATIONS = 5
LINK_WORDS = "Can't access your account?"

Step = tuple[str, Callable[[], None]]
"""What is done, in words, and the doing."""


class Visitor:
    """Somebody at a screen; every journey is a kind of visitor with steps."""

    def __init__(self, ready: Mapping[str, Any], username: str) -> None:
        """Take the ready file's content and who it is; a username of nobody has no password."""
        self.gateway = str(ready["gateway"])
        self.application = str(ready["relying_party"])
        self.username = username
        passwords = {person["username"]: person["password"] for person in ready["people"]}
        self.password: str = passwords[username]
        self.browser = Browser()
        self.page = Page(0, "", "")
        self._outbox = f"{ready['outbox']}.json"
        self._mail_before = 0

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        raise NotImplementedError

    def form(self, *marks: str, missing: str) -> Form:
        """Return the form of this page that has such a field."""
        form = self.page.form_with(*marks)
        if form is None:
            raise StepFailed(f"{missing}, but {self.where()}")
        return form

    def open_sign_in(self) -> None:
        """Go to the application, and from there to the sign-in page."""
        home = self.browser.open(f"{self.application}/")
        address = home.link(r"^sign in$")
        require(home.status == 200 and address, "the application shows no Sign in button")
        self.page = self.browser.open(urljoin(home.address, address))
        require(self.page.form_with("current-password"), f"no sign-in page, but {self.where()}")
        require(self.page.address.startswith(self.gateway), f"not at the gateway: {self.where()}")

    def sign_in(self, password: str) -> None:
        """Fill in the sign-in page."""
        form = self.form("current-password", missing="no sign-in page")
        names = (form.name_of("username", "email"), form.name_of("current-password"))
        self.page = self.browser.submit(
            self.page, form, dict(zip(names, (self.username, password), strict=True))
        )

    def fail_to_sign_in(self, password: str) -> None:
        """Fill it in, in vain."""
        self.sign_in(password)
        require(not self.is_signed_in(), "the application was reached")
        require(self.page.form_with("current-password"), f"no sign-in page, but {self.where()}")

    def is_signed_in(self) -> bool:
        """Tell whether this page is the application's own."""
        return self.page.address.startswith(self.application) and "Signed in as" in self.page.source

    def be_let_in(self) -> None:
        """Arrive in the application, pressing whatever goes on."""
        for _ in range(MOST_CONFIRMATIONS):
            if self.is_signed_in():
                break
            self.confirm(r"^continue|^go on|looks good")
        require(self.is_signed_in(), f"not in the application, but {self.where()}")
        require(self.username in self.page.source, "the application shows no claims of theirs")

    def confirm(self, words: str) -> None:
        """Press the button, or follow the link, that goes on."""
        for form in self.page.forms:
            if any(re.search(words, button, re.IGNORECASE) for button in form.buttons):
                self.page = self.browser.submit(self.page, form)
                return
        self.follow(words)

    def follow(self, words: str) -> None:
        """Follow the first link whose words match."""
        address = self.page.link(words)
        require(address, f"no link {words!r} on {self.where()}")
        self.page = self.browser.open(urljoin(self.page.address, address))

    def say_who(self, identifier: str, pages: list[str], through: str = "") -> None:
        """Go from the sign-in page to the first question after the name.

        Args:
            pages: Gets the headings on the way.
            through: Words of a link on the first page, where it is not a forgotten password.
        """
        self.follow(re.escape(LINK_WORDS))
        if through:
            self.follow(through)
        pages.append(self.page.heading)
        form = self.form("username", missing="no question for the name")
        values = {form.name_of("username"): identifier}
        if form.work:
            values["work"] = solve(json.loads(form.work))
        self.page = self.browser.submit(self.page, form, values)
        self._wait_if_asked()
        pages.append(self.page.heading)

    def choose_mail(self, pages: list[str]) -> None:
        """Choose mail where there is a choice; ends at the question for the code."""
        self.note_mail()
        form = next((form for form in self.page.forms if "email" in form.choices.get("kind", [])), None)
        if form is not None:
            self.page = self.browser.submit(self.page, form, {"kind": "email"})
            pages.append(self.page.heading)
        require(self.page.form_with("one-time-code"), f"no question for a code, but {self.where()}")

    def give_code(self, code: str) -> None:
        """Fill in a code."""
        form = self.form("one-time-code", missing="no question for a code")
        self.page = self.browser.submit(self.page, form, {form.name_of("one-time-code"): code})

    def set_password(self, new: str, old: str = "") -> None:
        """Fill in a new password, and the old one where it is asked."""
        form = self.form("new-password", missing="no question for a password")
        fields = [name for name, kind in form.kinds.items() if "new-password" in kind.split()]
        values = dict.fromkeys(fields, new)
        if old:
            values[form.name_of("current-password")] = old
        self.page = self.browser.submit(self.page, form, values)
        require(self.page.status == 200, f"answered {self.page.status} on {self.where()}")
        require(not self.page.form_with("new-password"), f"the password was refused on {self.where()}")

    def back_to_sign_in(self) -> None:
        """Go back to the sign-in page."""
        if not self.page.form_with("current-password"):
            self.confirm(r"sign.?in")
        require(self.page.form_with("current-password"), f"no sign-in page, but {self.where()}")

    def mail(self) -> list[dict[str, str]]:
        """Return the messages in the outbox, newest first."""
        page = Browser().open(self._outbox)
        require(page.status == 200, f"the outbox answered {page.status}")
        messages: list[dict[str, str]] = json.loads(page.source)
        return messages

    def note_mail(self) -> None:
        """Look only at mail that comes from now on."""
        self._mail_before = len(self.mail())

    def new_mail(self) -> list[dict[str, str]]:
        """Return what came since, newest first."""
        messages = self.mail()
        return messages[: len(messages) - self._mail_before]

    def mailed_code(self) -> str:
        """Wait for the newest mail to the person's private address and return the code in it."""
        end = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < end:
            mine = [each for each in self.new_mail() if each["to"].startswith(f"{self.username}.private@")]
            if codes := [code for code in map(code_in, mine) if code]:
                return codes[0]
            time.sleep(0.1)
        raise StepFailed(f"no mail with a code for {self.username} within {MAIL_SECONDS} s")

    def where(self) -> str:
        """Say what page we are on, without its query."""
        page = self.page
        return f"{page.heading or page.title!r} at {shown(page.address)} ({page.status})"

    def _wait_if_asked(self) -> None:
        """Stay on a page that only lets time pass, as people without scripts do."""
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        while refresh := re.search(r'http-equiv="refresh" content="(\d+)', self.page.source):
            require(time.monotonic() < end, "made to wait for too long")
            time.sleep(min(int(refresh[1]), LONGEST_WAIT_SECONDS))
            self.page = self.browser.open(self.page.address)
        if re.search("waiting", self.page.heading, re.IGNORECASE):
            self.confirm("continue")


def code_in(message: Mapping[str, str]) -> str:
    """Return the verification code in a mail; empty for none."""
    found = re.search(r"(?<!\d)\d{6}(?!\d)", message["text"])
    return found[0] if found else ""
