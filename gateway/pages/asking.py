"""How the pages ask for each kind of proof: one form, one part of a template; nothing else knows the kinds.

Every part stands in the same places: in the pages of a reset, and in the step-up of a signed-in person. It
is given `form`, `asked` (what `Kind.ask` returned), `masked`, `sent_at`, `expires_at` and `is_stranger`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from gateway.forms import CodeForm, PasskeyForm, RecoveryCodeForm
from gateway.question_forms import AnswersForm

_ENTER_THE_CODE = _("Enter the code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One kind of proof on a page."""

    part: str
    """Template below `answer/`: heading, explanation, field."""
    form: type[CodeForm] = CodeForm
    title: LazyString = _ENTER_THE_CODE
    script: str = ""
    """Static file that the page needs, if any."""
    is_sent: bool = False
    """Whether the page offers to send another code."""
    leads_elsewhere: bool = False
    """Whether the answer is given at a further provider; the page's own button is left out."""

    @property
    def template(self) -> str:
        """The part's file."""
        return f"answer/{self.part}.html"


ASKINGS: Mapping[str, Asking] = {
    "email": Asking(part="sent", is_sent=True),
    "mobile_phone": Asking(part="phone", is_sent=True),
    "office_phone": Asking(part="phone", is_sent=True),
    "totp": Asking(part="totp"),
    "passkey": Asking(part="passkey", form=PasskeyForm, title=_("Use your passkey"), script="passkey.js"),
    "security_questions": Asking(part="questions", form=AnswersForm, title=_("Answer your questions")),
    "identity": Asking(part="identity", title=_("Sign in elsewhere"), leads_elsewhere=True),
    "helpdesk_code": Asking(part="helpdesk_code"),
    "recovery_codes": Asking(part="recovery_code", form=RecoveryCodeForm),
}


def asking(kind: str) -> Asking:
    """Return how one kind is asked for."""
    return ASKINGS[kind]


def what_was_asked(asked: str) -> Any:
    """Return what `Kind.ask` returned as JSON; None where it is just a code."""
    return json.loads(asked) if asked else None
