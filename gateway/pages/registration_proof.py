"""Proving an existing way back in before anything is changed (S1)."""

import datetime as dt
import re
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from pydantic import TypeAdapter

from flows.errors import AttemptExpired
from flows.member import Pending, Registered
from gateway.errors import ShownIn
from gateway.forms import CodeForm, KindForm, code_form
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.portal import signed_in
from gateway.pages.registration import current_member, own, pages, status_of
from gateway.services import services

THEN = re.compile(r"email|totp|recovery_codes|(?:remove|saved)-[A-Za-z0-9_-]{1,64}")
AUTHENTICATOR_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
ASKED = "asked_proof"
ASKED_LIFETIME = dt.timedelta(minutes=15)
_JSON = TypeAdapter(Pending)


@pages.get("/register/prove")
def choose_proof() -> ResponseReturnValue:
    """Offer the registered ways."""
    return _offer(KindForm(formdata=None))


@pages.post("/register/prove")
def begin_proof() -> ResponseReturnValue:
    """Ask for a proof by the chosen one."""
    form = KindForm()
    if not form.validate_on_submit() or own(str(form.kind.data), status_of(current_member())) is None:
        return _offer(form), 422
    with ShownIn(form, "kind") as shown:
        pending = services().registration.prove_begin(
            current_member(),
            str(form.kind.data),
            now=services().clock(),
            asked_from=client_address(),
            agent=client_agent(),
        )
        services().expiring.put(ASKED, _key(pending.id), _JSON.dump_json(pending), ttl=ASKED_LIFETIME)
        return see_other("registration.ask_proof", pending_id=pending.id, **_then())
    return _offer(form), shown.status


@pages.get("/register/prove/<pending_id>")
def ask_proof(pending_id: str) -> ResponseReturnValue:
    """Ask for the code."""
    asked = _asked(pending_id)
    return _ask(asked, code_form(asked.kind)(formdata=None))


@pages.post("/register/prove/<pending_id>")
def check_proof(pending_id: str) -> ResponseReturnValue:
    """Check the code; the proof then counts for ten minutes."""
    asked = _asked(pending_id)
    form = code_form(asked.kind)()
    if not form.validate_on_submit():
        return _ask(asked, form), 422
    with ShownIn(form, "code", form.refusals) as shown:
        services().registration.prove_confirm(
            current_member(), pending_id, str(form.code.data), now=services().clock()
        )
        return _go_on()
    return _ask(asked, form), shown.status


def _then() -> dict[str, Any]:
    """Return what the person wanted to do, for the next address."""
    then, replaces = request.args.get("then", ""), request.args.get("replaces", "")
    return {
        "then": then if THEN.fullmatch(then) else None,
        "replaces": replaces if AUTHENTICATOR_ID.fullmatch(replaces) else None,
    }


def _go_on() -> ResponseReturnValue:
    wanted = _then()
    what, _dash, known_id = str(wanted["then"]).partition("-")
    match what:
        case "email":
            return see_other("registration.ask_address", replaces=wanted["replaces"])
        case "remove":
            return see_other("registration.ask_to_remove", authenticator_id=known_id)
        case "saved":
            return see_other("registration.show_recovery_codes", pending_id=known_id)
        case _:
            return see_other("registration.show")


def _offer(form: KindForm) -> str:
    usable = [each for each in status_of(current_member()).authenticators if _is_usable(each)]
    return render_template("registration/prove.html", form=form, usable=usable, wanted=_then())


def _is_usable(each: Registered) -> bool:
    return not each.suspended and each.trusted_from <= services().clock()


def _asked(pending_id: str) -> Pending:
    asked = services().expiring.peek(ASKED, _key(pending_id))
    if asked is None:
        raise AttemptExpired
    return _JSON.validate_json(asked)


def _ask(pending: Pending, form: CodeForm) -> str:
    return render_template("registration/prove_code.html", form=form, pending=pending, wanted=_then())


def _key(pending_id: str) -> str:
    return f"{signed_in().id} {pending_id}"
