"""Sentences for the words that flows and the store speak in; the only place that maps the two.

Keys are identifiers and never shown. What has no sentence here is a mistake that a test finds.
"""

import datetime as dt
from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_babel import ngettext
from flask_babel.speaklater import LazyString

from enforcement.policy import Purpose

KINDS: Mapping[str, LazyString] = {
    "email": _("E-mail"),
    "totp": _("Authenticator app"),
    "recovery_codes": _("Recovery codes"),
}

KIND_OFFERS: Mapping[str, LazyString] = {
    "email": _("Get a code by e-mail"),
    "totp": _("Use my authenticator app"),
    "recovery_codes": _("Use a recovery code"),
}

KIND_HINTS: Mapping[str, LazyString] = {
    "email": _("To the recovery address that you registered"),
    "totp": _("The app on your phone that shows a new code every 30 seconds"),
    "recovery_codes": _("One of the codes that you printed or saved earlier"),
}

JOURNEYS: Mapping[Purpose, LazyString] = {
    "reset": _("Reset your password"),
    "unlock": _("Unlock your account"),
}

REASONS: Mapping[str, LazyString] = {
    "unregistered": _("You have no way back in yet, should you ever forget your password."),
    "too_few": _("You need one more way back in, should you ever forget your password."),
    "stale": _("It has been a while. Please check that your ways back in still work for you."),
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

NOT_POSSIBLE: Mapping[str, LazyString] = {
    "disabled": _("This account is switched off."),
    "privileged": _("This account has special rights, so its password cannot be reset here."),
    "too_young": _("This password was changed only a short time ago and cannot be changed again yet."),
    "cannot_change": _("The password of this account cannot be changed here."),
    "not_covered": _("Account recovery is not switched on for this account."),
    "frozen": _("Account recovery is stopped for this account, because somebody said: this was not me."),
}

NOT_POSSIBLE_TO_UNLOCK: Mapping[str, LazyString] = {
    "disabled": _(
        "An administrator locked this account or switched it off. It stays closed until they open it."
    ),
    "privileged": _("This account has special rights, so it cannot be unlocked here."),
}
"""Where an unlock needs another sentence than a reset."""

PASSWORD_RULES: Mapping[str, LazyString] = {
    "not_name": _("Not your name, user name or e-mail address"),
    "characters": _("No line breaks or other control characters"),
    "directory_too_short": _("Longer: your organisation asks for more characters"),
    "directory_too_long": _("Shorter: your organisation allows fewer characters"),
    "directory_too_simple": _("Harder to guess: your organisation finds this one too simple"),
    "directory_in_history": _("None of the passwords that you had before"),
    "directory_too_young": _("Later: your last password is too new to be changed again"),
    "directory_change_not_allowed": _("Your organisation does not allow this password to be changed"),
    "directory_other": _("Another one: your organisation's rules do not accept this password"),
}

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
    "recovery:person:frozen": _("Account recovery was frozen"),
}


def not_possible(why: str, purpose: Purpose) -> LazyString:
    """Say why something can never be done with this account."""
    if purpose == "unlock" and why in NOT_POSSIBLE_TO_UNLOCK:
        return NOT_POSSIBLE_TO_UNLOCK[why]
    return NOT_POSSIBLE[why]


def _plural(one: str, many: str, number: int) -> str:
    return str(ngettext(one, many, number))


def in_minutes(wait: dt.timedelta) -> str:
    """Say a waiting time the way people do: seconds below a minute, then minutes, then hours."""
    seconds = max(1, -int(-wait.total_seconds() // 1))
    if seconds < 60:
        return _plural("%(num)s second", "%(num)s seconds", seconds)
    minutes = -(-seconds // 60)
    if minutes < 120:
        return _plural("%(num)s minute", "%(num)s minutes", minutes)
    return _plural("%(num)s hour", "%(num)s hours", -(-minutes // 60))


def rule_of_password(rule: str, parameters: Mapping[str, int | str]) -> str:
    """Say one rule of a new password as something to do."""
    count = int(parameters.get("count", 0))
    match rule:
        case "length_min":
            return _plural("At least %(num)s character", "At least %(num)s characters", count)
        case "length_max":
            return _plural("At most %(num)s character", "At most %(num)s characters", count)
        case "directory_in_history" if count:
            return _plural(
                "Not the password that you had before",
                "None of the last %(num)s passwords that you had",
                count,
            )
        case _:
            return str(PASSWORD_RULES[rule])
