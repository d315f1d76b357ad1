"""What people fill in who ask for help without signing in."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from wtforms import HiddenField, PasswordField, RadioField
from wtforms.validators import AnyOf, DataRequired, InputRequired, Length

from gateway.forms import PASSWORD_LENGTH, Form, NewPasswordForm, address_field, identifier_field


class ForgottenNameForm(Form):
    """Which registered address."""

    address = address_field(
        _("E-mail address"), DataRequired(_("Enter the e-mail address that you registered"))
    )
    work = HiddenField()
    ticket = HiddenField()
    return_to = HiddenField()


class ForgottenNameByNumberForm(ForgottenNameForm):
    """Which registered address or number."""

    address = address_field(
        _("E-mail address or mobile number"),
        DataRequired(_("Enter the e-mail address or mobile number that you registered")),
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

    identifier = identifier_field()
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
