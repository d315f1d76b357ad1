"""Sentences for what the rules say of a new password."""

from collections.abc import Mapping

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from flows.passwords.finding import Finding

RULES: Mapping[str, LazyString] = {
    "sequence_twice": _("No run like abc in it twice"),
    "not_palindrome": _("Not the same when read backwards"),
    "not_name": _("Nothing of your name, user name or e-mail address"),
    "not_same_name": _("Not your user name or e-mail address itself"),
    "not_words": _("None of the words that your organisation does not allow"),
    "characters": _("No line breaks or other control characters"),
    "not_banned": _("More than a common word or the name of your organisation"),
    "not_breached": _("No leak elsewhere that is known. We look that up when you send it"),
    "estimate": _("Harder to guess"),
    "directory_too_short": _("Longer: your organisation asks for more characters"),
    "directory_too_long": _("Shorter: your organisation allows fewer characters"),
    "directory_too_simple": _("Hard enough to guess for your organisation. It looks when you send it"),
    "directory_in_history": _("None of the passwords that you had before"),
    "directory_too_young": _("Later: your last password is too new to be changed again"),
    "directory_change_not_allowed": _("Your organisation does not allow this password to be changed"),
    "directory_other": _("Another one: your organisation's rules do not accept this password"),
}
"""Rules without a number."""

STRENGTHS: tuple[LazyString, ...] = (
    _("Very easy to guess."),
    _("Easy to guess."),
    _("Could be harder to guess."),
    _("Hard to guess."),
    _("Very hard to guess."),
)
"""By the score of an estimate."""

WARNINGS: Mapping[str, LazyString] = {
    "common": _("It is like one that many people use."),
    "name": _("A name is tried early."),
    "word": _("A single word is tried early."),
    "keys": _("Neighbouring keys are tried early."),
    "repeat": _("Saying the same again adds little."),
    "sequence": _("Runs like abc or 6543 are tried early."),
    "date": _("Dates and years are tried early."),
    "": _("Another word would help."),
}
"""What makes an estimate low."""


def rule(finding: Finding) -> str:
    """Say one rule of a new password as something to do."""
    count = int(finding.parameters.get("count", 0))
    return _with_number(finding.rule, count) if count else str(RULES[finding.rule])


def advice(finding: Finding) -> str:
    """Say what is weak and how to mend it; for `not_banned` where it does not hold, and for `estimate`."""
    if finding.rule == "not_banned":
        return _about_banned(finding.parameters)
    score = int(finding.parameters["score"])
    strength = str(STRENGTHS[score])
    return strength if score > 2 else f"{strength} {WARNINGS[str(finding.parameters['warning'])]}"


def _about_banned(told: Mapping[str, int | str]) -> str:
    if told.get("close_to"):
        return str(gettext("Too close to “%(term)s”, which is tried early.", term=told["close_to"]))
    missing = int(told["needed"]) - int(told["points"])
    return str(
        ngettext(
            "Words that people expect count as one character: %(terms)s. Add at least %(num)s more.",
            "Words that people expect count as one character: %(terms)s. Add at least %(num)s more.",
            missing,
            terms=told["terms"],
        )
    )


def _with_number(name: str, count: int) -> str:
    match name:
        case "length_min":
            said = ngettext("At least %(num)s character", "At least %(num)s characters", count)
        case "length_max":
            said = ngettext("At most %(num)s character", "At most %(num)s characters", count)
        case "classes_min":
            said = ngettext(
                "At least %(num)s of: small letters, capitals, digits, others",
                "At least %(num)s of: small letters, capitals, digits, others",
                count,
            )
        case "directory_in_history":
            said = ngettext(
                "Not the password that you had before",
                "None of the last %(num)s passwords that you had",
                count,
            )
        case _:
            said = _of_letters(name, count)
    return str(said)


def _of_letters(name: str, count: int) -> str:
    match name:
        case "digits_min":
            said = ngettext("At least %(num)s digit", "At least %(num)s digits", count)
        case "lower_min":
            said = ngettext("At least %(num)s small letter", "At least %(num)s small letters", count)
        case "upper_min":
            said = ngettext("At least %(num)s capital letter", "At least %(num)s capital letters", count)
        case "letters_min":
            said = ngettext("At least %(num)s letter", "At least %(num)s letters", count)
        case "specials_min":
            said = ngettext(
                "At least %(num)s character like ! or ?", "At least %(num)s characters like ! or ?", count
            )
        case "non_ascii_min":
            said = ngettext(
                "At least %(num)s character like é or ж", "At least %(num)s characters like é or ж", count
            )
        case _:
            said = _of_runs(name, count)
    return str(said)


def _of_runs(name: str, count: int) -> str:
    match name:
        case "repeats_max":
            said = ngettext(
                "No character twice in a row",
                "The same character at most %(num)s times in a row",
                count,
            )
        case "sequence_max":
            said = ngettext(
                "No run like abcd of more than %(num)s character",
                "No run like abcd of more than %(num)s characters",
                count,
            )
        case "class_run_max":
            said = ngettext(
                "At most %(num)s character of the same kind in a row",
                "At most %(num)s characters of the same kind in a row",
                count,
            )
        case _:
            said = RULES[name]
    return str(said)
