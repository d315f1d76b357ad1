"""Sentences for the words that flows and the store speak in; the only place that maps the two.

Keys are identifiers and never shown. What has no sentence here is a mistake that a test finds.
"""

import datetime as dt
from collections.abc import Mapping

from flask_babel import format_time, gettext, ngettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from enforcement.policy import Purpose

KINDS: Mapping[str, LazyString] = {
    "email": _("E-mail"),
    "mobile_phone": _("Mobile phone"),
    "office_phone": _("Office phone"),
    "totp": _("Authenticator app"),
    "passkey": _("Passkey"),
    "recovery_codes": _("Recovery codes"),
    "security_questions": _("Security questions"),
    "identity": _("Another sign-in"),
    "helpdesk_code": _("Code of the helpdesk"),
}

KIND_OFFERS: Mapping[str, LazyString] = {
    "email": _("Get a code by e-mail"),
    "mobile_phone": _("Get a code on my mobile phone"),
    "mobile_phone.sms": _("Text my mobile phone"),
    "mobile_phone.voice": _("Call my mobile phone"),
    "office_phone": _("Call my office phone"),
    "totp": _("Use my authenticator app"),
    "passkey": _("Use a passkey"),
    "recovery_codes": _("Use a recovery code"),
    "security_questions": _("Answer my security questions"),
    "identity": _("Sign in elsewhere"),
    "helpdesk_code": _("Use a code that my helpdesk tells me"),
}

KIND_HINTS: Mapping[str, LazyString] = {
    "email": _("To the recovery address that you registered"),
    "mobile_phone": _("To the number that you registered"),
    "mobile_phone.sms": _("A text message to the number that you registered"),
    "mobile_phone.voice": _("A voice tells you a code, at the number that you registered"),
    "office_phone": _("A voice tells you a code, at your desk"),
    "totp": _("The app on your phone that shows a new code every 30 seconds"),
    "passkey": _("Your finger, your face or a PIN, on your phone, your computer or a security key"),
    "recovery_codes": _("One of the codes that you printed or saved earlier"),
    "security_questions": _("Questions that you answered earlier"),
    "identity": _("An account with another organisation, which you linked earlier"),
    "helpdesk_code": _("They make sure that it is you, and tell you a code"),
}

JOURNEYS: Mapping[Purpose, LazyString] = {
    "reset": _("Reset your password"),
    "unlock": _("Unlock your account"),
    "change": _("Change your password"),
}

REASONS: Mapping[str, LazyString] = {
    "unregistered": _("You have no way back in yet, should you ever forget your password."),
    "too_few": _("You need one more way back in, should you ever forget your password."),
    "stale": _("Please check that your ways back in still work for you."),
}

ADDRESS_PROBLEMS: Mapping[str, LazyString] = {
    "malformed": _("Enter an e-mail address in full, like name@example.org"),
    "same_sign_in": _(
        "Enter an address that you can read without signing in here. "
        "This one is behind the very password that it should recover"
    ),
    "shared": _("Enter an address of your own. Too many people use this one already"),
    "registered": _("This address is registered already. Enter another one"),
    "too_many": _("You have as many addresses as there can be. Remove one first"),
}

NUMBER_PROBLEMS: Mapping[str, LazyString] = {
    "malformed": _("Enter a phone number in digits, like +31 6 12345678"),
    "no_country": _("Begin with + and the country code, like +31 6 12345678"),
    "country": _("No country has the code after the +. Check its first digits"),
    "too_short": _("This number is too short. Enter it in full, with its area code"),
    "too_long": _("This number is too long. Check that no digit was typed twice"),
    "unassigned": _("There is no phone with such a number. Check that no digit is missing or wrong"),
    "costly": _("This number costs extra to reach, so no code goes there. Enter an ordinary one"),
    "not_mobile": _("Enter the number of a mobile phone. This one belongs to a fixed line"),
    "extension": _("Enter a mobile number without an extension"),
    "not_allowed": _("Your organisation sends no codes to this country or network. Enter another number"),
    "not_in_directory": _("Choose one of the numbers that your organisation knows"),
    "shared": _("Enter a number of your own. Too many people use this one already"),
    "registered": _("This number is registered already. Enter another one"),
    "too_many": _("You have as many numbers as there can be. Remove one first"),
}

NOT_POSSIBLE: Mapping[str, LazyString] = {
    "disabled": _("This account is switched off."),
    "privileged": _("This account has special rights, so its password cannot be reset here."),
    "too_young": _("This password was changed only a short time ago and cannot be changed again yet."),
    "cannot_change": _("The password of this account cannot be changed here."),
    "not_covered": _("Account recovery is not switched on for this account."),
    "locked": _(
        "This account is locked after too many wrong passwords. Unlock it first, or reset the password."
    ),
    "frozen": _("Account recovery is stopped for this account, because somebody said: this was not me."),
}

NOT_POSSIBLE_TO_UNLOCK: Mapping[str, LazyString] = {
    "disabled": _(
        "An administrator locked this account or switched it off. It stays closed until they open it."
    ),
    "privileged": _("This account has special rights, so it cannot be unlocked here."),
}
"""Where an unlock needs another sentence than a reset."""

ACTIVITY: Mapping[str, LazyString] = {
    "portal:session:started": _("You signed in here"),
    "registration:authenticator:added": _("A way back in was added"),
    "registration:authenticator:removed": _("A way back in was removed"),
    "registration:authenticator:confirmed": _("You confirmed your ways back in"),
    "registration:authenticator:suspended": _("A way back in was suspended"),
    "registration:code:sent": _("A code was sent to register an address"),
    "reset:attempt:started": _("A password reset was started"),
    "reset:code:sent": _("A code to reset the password was sent"),
    "reset:proof:given": _("A code to reset the password was accepted"),
    "reset:proof:refused": _("A wrong code was entered"),
    "reset:password:written": _("Your password was reset"),
    "change:attempt:started": _("A change of your password was started"),
    "change:code:sent": _("A code to change the password was sent"),
    "change:proof:given": _("A code to change the password was accepted"),
    "change:proof:refused": _("A wrong code was entered"),
    "change:old_password:refused": _("A wrong password was entered where the password is changed"),
    "change:password:written": _("Your password was changed"),
    "attempt:browser:moved": _("Account recovery went on in another browser"),
    "name:message:sent": _("Your name was mailed to you"),
    "help:invitation:posted": _("Your helpdesk sent you a link to set a new password"),
    "help:password:written": _("An administrator set a temporary password"),
    "unlock:attempt:started": _("Unlocking your account was started"),
    "unlock:code:sent": _("A code to unlock your account was sent"),
    "unlock:proof:given": _("A code to unlock your account was accepted"),
    "unlock:proof:refused": _("A wrong code was entered"),
    "unlock:account:unlocked": _("Your account was unlocked"),
    "unlock:account:not_locked": _("Unlocking was asked for, but your account was not locked"),
    "sign_in:gate:interrupted": _("A sign-in was stopped to register ways back in"),
    "sign_in:gate:postponed": _("You chose to register later"),
    "sign_in:hold:released": _("A stopped sign-in went on"),
    "recovery:code:used": _("A recovery code was used"),
    "recovery:helpdesk_code:issued": _("The helpdesk handed out a code for your account"),
    "recovery:helpdesk_code:used": _("A code of the helpdesk was used"),
    "recovery:passkey:copied": _("A passkey was refused, because somebody may have a copy of it"),
    "recovery:person:frozen": _("Account recovery was frozen"),
}


TARGETS: Mapping[str, LazyString] = {
    "written": _("the new password works"),
    "refused": _("still the old password, because its own rules or rights refused the new one"),
    "failed": _("still the old password, because it did not answer. Reset again in a while to mend it"),
    "unknown": _("it did not confirm. Try the new password first, then the old one"),
    "skipped": _("not asked, so the old password is the one there"),
    "later": _("not yet, because it did not answer. We try again for a while, and tell you if it stays so"),
}
"""What became of each place that a new password was written to."""


def not_possible(why: str, purpose: Purpose) -> LazyString:
    """Say why something can never be done with this account."""
    if purpose == "unlock" and why in NOT_POSSIBLE_TO_UNLOCK:
        return NOT_POSSIBLE_TO_UNLOCK[why]
    return NOT_POSSIBLE[why]


def _plural(one: str, many: str, number: int) -> str:
    return str(ngettext(one, many, number))


def clock(when: dt.datetime) -> str:
    """Say a time of day; scripts turn it into the person's own zone where it stands alone."""
    return str(gettext("%(time)s UTC", time=format_time(when, "short")))


def in_minutes(wait: dt.timedelta) -> str:
    """Say a waiting time the way people do: seconds below a minute, then minutes, then hours."""
    seconds = max(1, -int(-wait.total_seconds() // 1))
    if seconds < 60:
        return _plural("%(num)s second", "%(num)s seconds", seconds)
    minutes = -(-seconds // 60)
    if minutes < 120:
        return _plural("%(num)s minute", "%(num)s minutes", minutes)
    return _plural("%(num)s hour", "%(num)s hours", -(-minutes // 60))
