"""The other journeys: an unlock, a change of an expired password, a confirmation after a long time."""

import secrets
from collections.abc import Mapping
from typing import Any

from .browser import require
from .visitor import Step, Visitor


class Unlock(Visitor):
    """Carol knows her password, but her account is locked."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready, "carol")

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        return (
            ("carol, whose account is locked, is refused with the right password", self._be_refused),
            ("she says that her account is locked, and who she is", self._say_that_it_is_locked),
            ("she proves it with a mailed code, and presses the button", self._unlock),
            ("the same password opens the application", self._sign_in_again),
        )

    def _be_refused(self) -> None:
        self.open_sign_in()
        self.fail_to_sign_in(self.password)

    def _say_that_it_is_locked(self) -> None:
        self.say_who("carol", [], through=r"account is locked")
        self.choose_mail([])

    def _unlock(self) -> None:
        self.give_code(self.mailed_code())
        self.confirm(r"^unlock my account")
        require("unlocked" in self.page.source, f"nothing was unlocked on {self.where()}")

    def _sign_in_again(self) -> None:
        self.back_to_sign_in()
        self.sign_in(self.password)
        self.be_let_in()


class Change(Visitor):
    """Dave's password has expired."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready, "dave")
        self._new_password = f"Walk-{secrets.token_hex(4)}-onwards-{secrets.token_hex(4)}"

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        return (
            ("dave, whose password has expired, is refused with it", self._be_refused),
            ("he says that it has expired, and who he is", self._say_that_it_has_expired),
            ("he proves it with a mailed code, the old password, and sets a new one", self._change),
            ("the new password opens the application", self._sign_in_again),
        )

    def _be_refused(self) -> None:
        self.open_sign_in()
        self.fail_to_sign_in(self.password)

    def _say_that_it_has_expired(self) -> None:
        self.say_who("dave", [], through=r"password has expired")
        self.choose_mail([])

    def _change(self) -> None:
        self.give_code(self.mailed_code())
        self.set_password(self._new_password, old=self.password)

    def _sign_in_again(self) -> None:
        self.back_to_sign_in()
        self.sign_in(self._new_password)
        self.be_let_in()


class Confirmation(Visitor):
    """Grace registered long ago."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready, "grace")

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        return (
            ("grace, who registered long ago, is interrupted to confirm", self._be_interrupted),
            ("one press says that everything is still right, and she is let in", self.be_let_in),
            ("the next sign-in is not interrupted", self._sign_in_again),
        )

    def _be_interrupted(self) -> None:
        self.open_sign_in()
        self.sign_in(self.password)
        require(not self.is_signed_in(), "the application was reached unconfirmed")
        require(
            any("Looks good" in form.buttons for form in self.page.forms),
            f"nothing to confirm on {self.where()}",
        )

    def _sign_in_again(self) -> None:
        self.confirm(r"sign out")
        if not self.page.address.startswith(self.application):
            self.confirm(r"sign out|continue")
        self.open_sign_in()
        self.sign_in(self.password)
        require(self.is_signed_in(), f"not in the application, but {self.where()}")
