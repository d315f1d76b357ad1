"""Adding a phone: the number as it was read is shown before anything is sent to it."""

from collections.abc import Callable

from babel import Locale
from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from flows.authenticators import phone_number
from flows.authenticators.phone_number import Number
from flows.errors import ProofRequired
from gateway.errors import ShownIn
from gateway.forms import NumberForm, OfficePhoneForm, WayForm
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.registration import current_member, pages, status_of
from gateway.pages.registration_adding import is_lost, replaces
from gateway.services import services


@pages.get("/register/mobile-phone")
def ask_mobile_phone() -> ResponseReturnValue:
    """Ask for the number."""
    if status_of(current_member()).proof_needed and not is_lost():
        return _prove_first("mobile_phone")
    return _ask_number(NumberForm(formdata=None))


@pages.post("/register/mobile-phone")
def show_mobile_phone() -> ResponseReturnValue:
    """Show how the number was read; nothing is sent or kept yet."""
    form = NumberForm()
    if not form.validate_on_submit():
        return _ask_number(form), 422
    with ShownIn(form, "number") as shown:
        region = services().settings.messages.default_region
        return _show_number(form, phone_number.parse_mobile(str(form.number.data), region))
    return _ask_number(form), shown.status


@pages.post("/register/mobile-phone/send")
def add_mobile_phone() -> ResponseReturnValue:
    """Send a code to the number, by text message or by a call."""
    form = WayForm()
    if not form.validate_on_submit():
        return _ask_number(form), 422
    return _begin("mobile_phone", form, lambda: _ask_number(form), way=str(form.way.data))


@pages.get("/register/office-phone")
def ask_office_phone() -> ResponseReturnValue:
    """Ask which of the directory's numbers."""
    if status_of(current_member()).proof_needed and not is_lost():
        return _prove_first("office_phone")
    return _ask_office(OfficePhoneForm(formdata=None))


@pages.post("/register/office-phone")
def add_office_phone() -> ResponseReturnValue:
    """Call the number and tell a code."""
    form = OfficePhoneForm()
    if not form.validate_on_submit():
        return _ask_office(form), 422
    return _begin("office_phone", form, lambda: _ask_office(form))


def _begin(
    kind: str, form: NumberForm | OfficePhoneForm, ask_again: Callable[[], str], *, way: str = ""
) -> ResponseReturnValue:
    """Begin to bind the form's number, or ask again and say why."""
    try:
        with ShownIn(form, "number") as shown:
            pending = services().registration.begin(
                current_member(),
                kind,
                str(form.number.data),
                way=way,
                now=services().clock(),
                lost=is_lost(),
                replaces=replaces(),
                asked_from=client_address(),
                agent=client_agent(),
            )
            return see_other("registration.ask_code", pending_id=pending.id)
    except ProofRequired:
        return _prove_first(kind)
    return ask_again(), shown.status


def _prove_first(kind: str) -> ResponseReturnValue:
    return see_other("registration.choose_proof", then=kind, replaces=replaces() or None)


def _ask_number(form: NumberForm) -> str:
    return render_template(
        "registration/mobile_phone.html",
        form=form,
        region=services().settings.messages.default_region,
        lost=is_lost(),
        replaces=replaces(),
    )


def _show_number(form: NumberForm, number: Number) -> str:
    read = phone_number.preview(number)
    return render_template(
        "registration/mobile_phone_read.html",
        form=form,
        number=str(number),
        read=read,
        country=country_name(read.region),
        ways=services().registration.ways("mobile_phone"),
        lost=is_lost(),
        replaces=replaces(),
    )


def _ask_office(form: OfficePhoneForm) -> str:
    member = current_member()
    numbers = services().registration.suggestions(member, "office_phone")
    return render_template(
        "registration/office_phone.html",
        form=form,
        numbers=[(number, phone_number.preview(phone_number.stored(number.encode()))) for number in numbers],
        lost=is_lost(),
        replaces=replaces(),
    )


def country_name(region: str) -> str:
    """Return a country's name in the page's language."""
    locale = get_locale() or Locale("en")
    return str(locale.territories.get(region, region))
