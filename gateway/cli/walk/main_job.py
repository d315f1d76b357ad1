"""The main job: alice is interrupted, registers, gets in; forgets her password, and gets in again."""

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from .browser import Browser, require, shown
from .visitor import LINK_WORDS, Step, Visitor, code_in

NO_MAIL_SECONDS = 1
PRIVATE_ADDRESS = "alice.private@example.net"


class MainJob(Visitor):
    """Alice, and then somebody whom nobody knows."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready, "alice")
        self._known_pages: list[str] = []
        self._new_password = f"Walk-{secrets.token_hex(4)}-through-{secrets.token_hex(4)}"

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        known = self._known_pages
        return (
            ("alice opens the application and gets to the sign-in page", self.open_sign_in),
            ("the sign-in page has the link for people who cannot sign in", self._see_link),
            ("her password is accepted, and she is interrupted", self._be_interrupted),
            ("she is not in the application yet", self._is_out),
            ("she registers a private address with the code that is mailed to it", self._register),
            ("she is let into the application, which knows her", self.be_let_in),
            ("she signs out", self._sign_out),
            ("a wrong password is refused", lambda: self.fail_to_sign_in("not-her-password")),
            ("she follows the link and says who she is", lambda: self.say_who("alice", known)),
            ("she has a code mailed to the private address", lambda: self.choose_mail(known)),
            ("a wrong code is refused, the right one accepted", self._type_code),
            ("she sets a new password", lambda: self.set_password(self._new_password)),
            ("back at the sign-in page the old password is refused", self._old_is_refused),
            ("the new password opens the application at once", self._new_is_accepted),
            ("a name that nobody has walks the same pages and gets no mail", self._walk_as_nobody),
        )

    def _see_link(self) -> None:
        address = self.page.link(re.escape(LINK_WORDS))
        require(address, f"no link {LINK_WORDS!r}")
        require("/reset" in address, f"the link leads to {shown(address)}")

    def _be_interrupted(self) -> None:
        self.sign_in(self.password)
        require(not self.is_signed_in(), "the application was reached with nothing registered")
        require(
            "/sparekey/" in shown(self.page.address), f"not at the registration portal, but {self.where()}"
        )
        went = [address for address in self.browser.visited if address.startswith(self.application)]
        require(not went, "the application's callback got an answer before the registration")

    def _is_out(self) -> None:
        home = self.browser.open(f"{self.application}/")
        require("Signed in as" not in home.source, "the application says that she is signed in")

    def _register(self) -> None:
        if not self.page.form_with("email"):
            address = self.page.link(r"e-?mail")
            require(address, f"no way to add an address on {self.where()}")
            self.page = self.browser.open(urljoin(self.page.address, address))
        form = self.form("email", missing="no field for an address")
        values = {form.name_of("email"): PRIVATE_ADDRESS}
        # Among addresses that the organisation knows, the last choice is another one.
        values |= {name: choices[-1] for name, choices in form.choices.items()}
        self.note_mail()
        self.page = self.browser.submit(self.page, form, values)
        self.give_code(self.mailed_code())
        require(not self.page.form_with("one-time-code"), f"the code was not accepted on {self.where()}")

    def _sign_out(self) -> None:
        self.confirm(r"sign out")
        if not self.page.address.startswith(self.application):
            self.confirm(r"sign out|continue")
        self._is_out()
        self.open_sign_in()

    def _type_code(self) -> None:
        code = self.mailed_code()
        self.give_code(f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}")
        require(self.page.form_with("one-time-code"), f"a wrong code led to {self.where()}")
        self._known_pages.append(self.page.heading)
        self.give_code(code)
        require(self.page.form_with("new-password"), f"the right code led to {self.where()}")

    def _old_is_refused(self) -> None:
        self.back_to_sign_in()
        self.sign_in(self.password)
        require(not self.is_signed_in(), "the old password still opens the application")
        require(self.page.form_with("current-password"), f"no sign-in page, but {self.where()}")

    def _new_is_accepted(self) -> None:
        self.sign_in(self._new_password)
        require(self.is_signed_in(), f"not in the application, but {self.where()}")

    def _walk_as_nobody(self) -> None:
        pages: list[str] = []
        self.browser = Browser()
        self.open_sign_in()
        self.say_who("nobody-has-this-name", pages)
        self.choose_mail(pages)
        self.give_code("123456")
        pages.append(self.page.heading)
        require(self.page.form_with("one-time-code"), f"a wrong code led to {self.where()}")
        require(pages == self._known_pages, f"the pages differ: {pages} and {self._known_pages}")
        # Mail leaves by a queue after the answer; what does not come can only be waited for.
        time.sleep(NO_MAIL_SECONDS)
        require(not any(map(code_in, self.new_mail())), "somebody was mailed a code")
