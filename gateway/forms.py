"""What people fill in. Forms know shapes and sizes; every rule lives in flows."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import ClassVar

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import Field, HiddenField, PasswordField, RadioField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError
from wtforms.widgets import HiddenInput

from flows.authenticators import phone_number, recovery_codes
from flows.authenticators.passkey import LONGEST_NAME
from flows.errors import CodeExpired, Refused, WrongCode

IDENTIFIER_LENGTH = 256
PASSWORD_LENGTH = 1024
ADDRESS_LENGTH = 254
_HIDDEN = Markup('<input id="%s" name="%s" type="hidden" value="%s">')
_EXAMPLE = "K7QM4-W2XP9-DT3AB"


def without_marks(value: str | None) -> str:
    """Drop what pasting adds unseen: blanks around, direction marks, zero-width characters."""
    return "".join(c for c in value or "" if unicodedata.category(c) != "Cf").strip()


def digits_only(value: str | None) -> str:
    """Turn a typed code into plain digits: "123 456", "123-456" and full-width digits are all fine."""
    folded = unicodedata.normalize("NFKC", without_marks(value))
    plain = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in folded)
    return re.sub(r"[\s.\-]", "", plain)


class Form(FlaskForm):  # type: ignore[misc]  # the library has no types
    """Every form of ours."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]  # the library has no types
        """How its fields are written."""

        def render_field(self, field: Field, render_kw: Mapping[str, object]) -> Markup:
            """Write a hidden field as it is: every page has one, and the general way is long."""
            if render_kw or field.flags.required or not isinstance(field.widget, HiddenInput):
                return Markup(super().render_field(field, render_kw))  # noqa: S704 - written by WTForms
            return _HIDDEN % (field.id, field.name, field._value())  # noqa: SLF001 - as WTForms does


class NoControlCharacters:
    """Refuses what no keyboard types: NUL, escapes, line breaks."""

    def __call__(self, form: Form, field: Field) -> None:
        """Raise with a sentence where such a character is present."""
        del form
        if any(unicodedata.category(c) in {"Cc", "Cs"} for c in field.data or ""):
            raise ValidationError(_("Remove the characters that cannot be seen, or type it again"))


class SixDigits:
    """Refuses what cannot be a code at all, before it counts as a wrong answer."""

    def __call__(self, form: Form, field: Field) -> None:
        """Raise with a sentence unless six digits are left."""
        del form
        if not re.fullmatch(r"[0-9]{6}", field.data or ""):
            raise ValidationError(_("Enter the 6 digits of the code"))


def identifier_field() -> StringField:
    """Return a new field for who somebody is."""
    return StringField(
        _("User name or e-mail address"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter your user name or e-mail address")),
            Length(max=IDENTIFIER_LENGTH, message=_("Enter at most 256 characters")),
            NoControlCharacters(),
        ],
    )


def address_field(label: LazyString, *required: DataRequired) -> StringField:
    """Return a new field for an address."""
    return StringField(
        label,
        filters=[without_marks],
        validators=[
            *required,
            Length(max=ADDRESS_LENGTH, message=_("Enter at most 254 characters")),
            NoControlCharacters(),
        ],
    )


class IdentifierForm(Form):
    """Who lost the password."""

    identifier = identifier_field()
    work = HiddenField()
    ticket = HiddenField()
    return_to = HiddenField()


class KindForm(Form):
    """Which of several ways to prove."""

    kind = RadioField(
        _("How do you want to prove that it is you?"),
        validate_choice=False,
        validators=[InputRequired(_("Choose one of the ways"))],
    )


class CodeForm(Form):
    """A code, sent or shown by an app."""

    code = StringField(
        _("Code"),
        filters=[digits_only],
        validators=[DataRequired(_("Enter the 6 digits of the code")), SixDigits()],
    )
    refusals: ClassVar[Mapping[type[Refused], LazyString]] = {}
    """What reads otherwise for this kind of code than for others."""

    def answer(self) -> str:
        """Return what flows are told."""
        return str(self.code.data)


class Complete:
    """Refuses what cannot be a code of this shape at all, before it counts as a wrong answer."""

    def __init__(self, sentence: LazyString) -> None:
        self._sentence = sentence

    def __call__(self, form: Form, field: Field) -> None:
        """Raise with a sentence unless it has a code's length and letters."""
        del form
        if not recovery_codes.is_complete(field.data or ""):
            raise ValidationError(self._sentence)


class RecoveryCodeForm(CodeForm):
    """A recovery code; what was typed is kept as it was typed."""

    code = StringField(
        _("Recovery code"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter one of your recovery codes")),
            Complete(_("Enter the whole recovery code, like %(example)s", example=_EXAMPLE)),
        ],
    )
    refusals: ClassVar[Mapping[type[Refused], LazyString]] = {
        CodeExpired: _("This code was used before. Take another one from your list"),
    }


class HandedOutCodeForm(RecoveryCodeForm):
    """A code that a helpdesk handed out; shaped like a recovery code."""

    code = StringField(
        _("Code"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter the code that your helpdesk gave you")),
            Complete(_("Enter the whole code of your helpdesk, like %(example)s", example=_EXAMPLE)),
        ],
    )
    refusals: ClassVar[Mapping[type[Refused], LazyString]] = {
        CodeExpired: _("This code was used before. Ask your helpdesk for a new one"),
    }


class PasskeyForm(CodeForm):
    """What a device signed; filled in by the page's script."""

    code = HiddenField(validators=[InputRequired(_("Press the button, and follow what your device asks"))])
    refusals: ClassVar[Mapping[type[Refused], LazyString]] = {
        CodeExpired: _("That took too long, or was used before. Press the button again"),
        WrongCode: _("This passkey does not fit here. Use the one that you registered for account recovery"),
    }

    def credential(self) -> object:
        """Return what the device made, as far as it is JSON."""
        try:
            return json.loads(str(self.code.data))
        except (ValueError, RecursionError):
            return None


class NewPasskeyForm(PasskeyForm):
    """A new passkey and its name."""

    name = StringField(
        _("Name of the passkey"),
        filters=[without_marks],
        validators=[
            Length(max=LONGEST_NAME, message=_("Enter at most 40 characters")),
            NoControlCharacters(),
        ],
    )


class NewPasswordForm(Form):
    """A new password; `again` is only there where no script can show what was typed."""

    password = PasswordField(
        _("New password"),
        validators=[
            InputRequired(_("Enter a new password")),
            Length(max=PASSWORD_LENGTH, message=_("Enter a shorter password")),
        ],
    )
    again = PasswordField(_("The same password again"))

    def validate_again(self, field: Field) -> None:
        """Compare the two where both were asked."""
        if field.raw_data and field.data != self.password.data:
            raise ValidationError(_("The two passwords differ. Type the same one twice"))


class AddressForm(Form):
    """Which address to register: one that the directory knows, or another."""

    suggestion = RadioField(_("Which address should it be?"), validate_choice=False)
    address = address_field(_("E-mail address"))

    def chosen(self) -> str:
        """Return the address that was meant; empty where none was."""
        return (
            str(self.suggestion.data)
            if self.suggestion.data not in {None, "", "other"}
            else str(self.address.data)
        )


class NumberForm(Form):
    """A phone number, in whatever way people write it."""

    number = StringField(
        _("Phone number"),
        filters=[without_marks],
        validators=[
            DataRequired(_("Enter a phone number")),
            Length(
                max=phone_number.LONGEST, message=_("Enter a phone number in digits, like +31 6 12345678")
            ),
            NoControlCharacters(),
        ],
    )


class WayForm(NumberForm):
    """A number that was read, and how a code goes there."""

    way = HiddenField()


class OfficePhoneForm(Form):
    """Which of the directory's numbers."""

    number = RadioField(
        _("Which number is on your desk?"),
        validate_choice=False,
        validators=[InputRequired(_("Choose one of the numbers"))],
    )


class ButtonForm(Form):
    """A button and nothing else."""
