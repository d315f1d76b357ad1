"""How the pages begin to register each kind; the overview and the step-up read it, nothing else differs."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString


@dataclass(frozen=True, slots=True, kw_only=True)
class Adding:
    """One kind that people can register themselves."""

    endpoint: str
    """Where it begins."""
    offer: LazyString
    hint: LazyString
    is_page: bool = False
    """Whether that is a page that asks something first; else a button begins it."""
    may_change: bool = False
    """Whether one can be replaced by another in one go."""
    code_page: str = "registration/code.html"
    """Template that asks for the code that was sent."""
    only_one: bool = False
    """Whether it is offered only while there is none."""


ADDINGS: Mapping[str, Adding] = {
    "email": Adding(
        endpoint="registration.ask_address",
        offer=_("Add an e-mail address"),
        hint=_("We send a code there when you need it. Best is a private address."),
        is_page=True,
        may_change=True,
    ),
    "mobile_phone": Adding(
        endpoint="registration.ask_mobile_phone",
        offer=_("Add a mobile phone"),
        hint=_("We text a code there, or call and tell it."),
        is_page=True,
        may_change=True,
        code_page="registration/phone_code.html",
    ),
    "office_phone": Adding(
        endpoint="registration.ask_office_phone",
        offer=_("Add your office phone"),
        hint=_("We call the number that your organisation knows, and tell a code."),
        is_page=True,
        code_page="registration/phone_code.html",
    ),
    "totp": Adding(
        endpoint="registration.add_app",
        offer=_("Add an authenticator app"),
        hint=_("An app on your phone shows a code, even without a network."),
    ),
    "passkey": Adding(
        endpoint="registration.begin_passkey",
        offer=_("Add a passkey"),
        hint=_("Your phone, computer or security key proves that it is you, by finger, face or PIN."),
    ),
    "identity": Adding(
        endpoint="registration.choose_identity",
        offer=_("Link another sign-in"),
        hint=_("An account that you have elsewhere. Signing in there proves that it is you."),
        is_page=True,
    ),
    "security_questions": Adding(
        endpoint="registration.begin_questions",
        offer=_("Set up security questions"),
        hint=_("Asked beside another proof. Others may know the answers, so better choose another way."),
        only_one=True,
    ),
    "recovery_codes": Adding(
        endpoint="registration.make_recovery_codes",
        offer=_("Make recovery codes"),
        hint=_("A list to print or save. Each code gets you back in once, without a phone or mailbox."),
        only_one=True,
    ),
}
