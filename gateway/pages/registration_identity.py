"""Another identity: linked by signing in there, and proved by signing in there again."""

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from flows.authenticators import linked_identity
from flows.errors import ProofRequired
from gateway.errors import ShownIn
from gateway.forms import ButtonForm
from gateway.identity_signin import Errand
from gateway.pages.answers import as_response, see_other
from gateway.pages.identity import allow_buttons_to, sign_in_at
from gateway.pages.registration import current_member, pages, status_of
from gateway.pages.registration_adding import is_lost, lead_on
from gateway.pages.registration_proof import asked_proof, go_on, wanted
from gateway.services import services


@pages.get("/register/identity")
def choose_identity() -> ResponseReturnValue:
    """Ask where else the person can sign in."""
    if status_of(current_member()).proof_needed and not is_lost():
        return see_other("registration.choose_proof", then=linked_identity.NAME)
    return _choose(ButtonForm(formdata=None))


@pages.post("/register/identity")
def link_identity() -> ResponseReturnValue:
    """Begin a binding, and send the person there."""
    form, provider = ButtonForm(), request.form.get("provider", "")
    try:
        with ShownIn(form, "csrf_token") as shown:
            pending = services().registration.begin(
                current_member(), linked_identity.NAME, provider, now=services().clock(), lost=is_lost()
            )
            page = url_for("registration.choose_identity", lost="yes" if is_lost() else None)
            errand = Errand("bind", pending.id, page, url_for("registration.added"))
            return sign_in_at(provider, errand)
    except ProofRequired:
        return see_other("registration.choose_proof", then=linked_identity.NAME)
    return _choose(form), shown.status


@pages.get("/register/added")
def added() -> ResponseReturnValue:
    """Lead on after something was added."""
    return lead_on()


@pages.post("/register/prove/<pending_id>/elsewhere")
def prove_elsewhere(pending_id: str) -> ResponseReturnValue:
    """Send the person to the provider, before something is changed."""
    asked_proof(pending_id)
    page = url_for("registration.ask_proof", pending_id=pending_id, **wanted())
    errand = Errand("prove", pending_id, page, as_response(go_on()).headers["Location"])
    return sign_in_at(request.form.get("provider", ""), errand)


def _choose(form: ButtonForm) -> str:
    providers = services().identities.names
    allow_buttons_to(providers)
    return render_template("registration/identity.html", form=form, providers=providers, lost=is_lost())
