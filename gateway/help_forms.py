"""What people fill in who ask for help without signing in."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from wtforms import HiddenField, PasswordField, RadioField, StringField
from wtforms.validators import AnyOf, DataRequired, InputRequired, Length

from gateway.forms import (
    ADDRESS_LENGTH,
    IDENTIFIER_LENGTH,
    PASSWORD_LENGTH,
    Form,
    NewPasswordForm,
    NoControlCharacters,
    without_marks,
)


class ForgottenNameForm(Form):
    """Which registered address."""

    address = StringField(
        _("E-mail address"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter the e-mail address that you registered")),
            Length(max=ADDRESS_LENGTH, message=_("Enter at most 254 characters")),
            NoControlCharacters(),
        ],
    )
    work = HiddenField()
    ticket = HiddenField()
    return_to = HiddenField()


class ForgottenNameByNumberForm(ForgottenNameForm):
    """Which registered address or number."""

    address = StringField(
        _("E-mail address or mobile number"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter the e-mail address or mobile number that you registered")),
            Length(max=ADDRESS_LENGTH, message=_("Enter at most 254 characters")),
            NoControlCharacters(),
        ],
    )


TROUBLES: Mapping[str, LazyString] = {
    "no_way": _("I can use none of the ways that I registered"),
    "nothing_registered": _("I never registered a way back in"),
    "closed": _("My account seems to be closed"),
    "other": _("Something else"),
}
"""What somebody may need help with: `flows.help.contact.Trouble` in words."""


class ContactForm(Form):
    """Who needs help, and with what; there is no free text, so that nobody's words reach a helpdesk."""

    identifier = StringField(
        _("User name or e-mail address"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter your user name or e-mail address")),
            Length(max=IDENTIFIER_LENGTH, message=_("Enter at most 256 characters")),
            NoControlCharacters(),
        ],
    )
    trouble = RadioField(
        _("What is the matter?"),
        validate_choice=False,
        validators=[
            InputRequired(_("Choose what is the matter")),
            AnyOf(TROUBLES, message=_("Choose what is the matter")),
        ],
    )
    work = HiddenField()
    ticket = HiddenField()


class ChangeForm(NewPasswordForm):
    """The old password and a new one."""

    old = PasswordField(
        _("Your current password"),
        validators=[
            InputRequired(_("Enter your current password")),
            Length(max=PASSWORD_LENGTH, message=_("Enter a shorter password")),
        ],
    )
