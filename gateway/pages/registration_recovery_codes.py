"""Recovery codes: made on a button, shown until the person says that they are saved, bound only then."""

from flask import Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _

from flows.authenticators import recovery_codes
from flows.errors import AttemptExpired, ProofRequired
from flows.registering.member import NewCodes, Pending
from gateway.errors import ShownIn
from gateway.forms import ButtonForm
from gateway.pages.answers import see_other
from gateway.pages.portal import signed_in
from gateway.pages.registration import current_member, pages
from gateway.pages.registration_adding import is_lost, lead_on
from gateway.services import services


@pages.post("/register/recovery-codes")
def make_recovery_codes() -> ResponseReturnValue:
    """Make new codes; earlier ones work until the new ones are saved."""
    try:
        with ShownIn(ButtonForm(), "csrf_token"):
            pending = services().registration.begin(
                current_member(), "recovery_codes", now=services().clock(), lost=is_lost()
            )
            return see_other("registration.show_recovery_codes", pending_id=pending.id)
    except ProofRequired:
        return see_other("registration.choose_proof", then="recovery_codes")
    return see_other("registration.show")


@pages.get("/register/recovery-codes/<pending_id>")
def show_recovery_codes(pending_id: str) -> ResponseReturnValue:
    """Show the codes, as often as the page is opened, until they are saved."""
    return render_template(
        "registration/recovery_codes.html",
        form=ButtonForm(formdata=None),
        pending=_pending(pending_id),
        session=signed_in(),
    )


@pages.get("/register/recovery-codes/<pending_id>/recovery-codes.txt")
def download_recovery_codes(pending_id: str) -> ResponseReturnValue:
    """Return the same codes as a text file."""
    answer = Response(_text(_new_codes(pending_id)), content_type="text/plain; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="recovery-codes.txt"'
    return answer


@pages.post("/register/recovery-codes/<pending_id>")
def keep_recovery_codes(pending_id: str) -> ResponseReturnValue:
    """Bind the codes: the person says that they are saved."""
    try:
        # Looked at first: a code that was sent is never answered by a button.
        _pending(pending_id)
        services().registration.confirm(current_member(), pending_id, "", now=services().clock())
    except ProofRequired:
        return see_other("registration.choose_proof", then=f"saved-{pending_id}")
    return lead_on()


def _pending(pending_id: str) -> Pending:
    pending = services().registration.pending(current_member(), pending_id, now=services().clock())
    if pending.kind != recovery_codes.NAME:
        raise AttemptExpired
    return pending


def _new_codes(pending_id: str) -> NewCodes:
    shown = _pending(pending_id).shown
    if not isinstance(shown, NewCodes):
        raise AttemptExpired
    return shown


def _text(pending: NewCodes) -> str:
    organisation = services().settings.messages.mail.organisation
    whose = _("For %(name)s, made on %(day)s", name=signed_in().username, day=format_date(pending.made_at))
    lines = (
        _("Recovery codes for %(organisation)s", organisation=organisation),
        whose,
        "",
        *pending.codes,
        "",
        _("Each code gets you back in once, should you forget your password."),
        _("Keep them where nobody else finds them."),
    )
    return "".join(f"{line}\r\n" for line in lines)
