"""Proving an existing way back in before anything is changed (S1)."""

import datetime as dt
import re
from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import TypeAdapter

from flows.errors import AttemptExpired
from flows.registering.member import Pending, Registered
from gateway.errors import ShownIn
from gateway.forms import CodeForm, KindForm
from gateway.pages.adding import ADDINGS
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.asking import asking, what_was_asked
from gateway.pages.identity import allow_buttons_to
from gateway.pages.portal import signed_in
from gateway.pages.registration import current_member, own, pages, status_of
from gateway.services import services

THEN = re.compile(r"[a-z_]{1,40}|(?:remove|saved)-[A-Za-z0-9_-]{1,64}")
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
    chosen, _dot, way = str(form.kind.data).partition(".")
    if not form.validate_on_submit() or own(chosen, status_of(current_member())) is None:
        return _offer(form), 422
    with ShownIn(form, "kind") as shown:
        pending = services().registration.prove_begin(
            current_member(),
            chosen,
            way=way,
            now=services().clock(),
            asked_from=client_address(),
            agent=client_agent(),
        )
        services().expiring.put(ASKED, _key(pending.id), _JSON.dump_json(pending), ttl=ASKED_LIFETIME)
        return see_other("registration.ask_proof", pending_id=pending.id, **wanted())
    return _offer(form), shown.status


@pages.get("/register/prove/<pending_id>")
def ask_proof(pending_id: str) -> ResponseReturnValue:
    """Ask for the code."""
    asked = asked_proof(pending_id)
    return _ask(asked, asking(asked.kind).form(formdata=None))


@pages.post("/register/prove/<pending_id>")
def check_proof(pending_id: str) -> ResponseReturnValue:
    """Check the code; the proof then counts for ten minutes."""
    asked = asked_proof(pending_id)
    form = asking(asked.kind).form()
    if not form.validate_on_submit():
        return _ask(asked, form), 422
    with ShownIn(form, "code", form.refusals) as shown:
        services().registration.prove_confirm(
            current_member(), pending_id, form.answer(), now=services().clock()
        )
        return go_on()
    return _ask(asked, form), shown.status


def wanted() -> dict[str, Any]:
    """Return what the person wanted to do, for the next address."""
    then, replaces = request.args.get("then", ""), request.args.get("replaces", "")
    return {
        "then": then if THEN.fullmatch(then) else None,
        "replaces": replaces if AUTHENTICATOR_ID.fullmatch(replaces) else None,
    }


def go_on() -> ResponseReturnValue:
    """Lead to what the person wanted to do."""
    asked = wanted()
    what, _dash, known_id = str(asked["then"]).partition("-")
    match what:
        case kind if kind in ADDINGS and ADDINGS[kind].is_page:
            return see_other(ADDINGS[kind].endpoint, replaces=asked["replaces"])
        case "remove":
            return see_other("registration.ask_to_remove", authenticator_id=known_id)
        case "saved":
            return see_other("registration.show_recovery_codes", pending_id=known_id)
        case _:
            return see_other("registration.show")


def _offer(form: KindForm) -> str:
    usable = [each for each in status_of(current_member()).authenticators if _is_usable(each)]
    choices = [(each, way) for each in usable for way in _ways(each.kind)]
    return render_template("registration/prove.html", form=form, choices=choices, wanted=wanted())


def _ways(kind: str) -> tuple[str, ...]:
    """Return what is chosen between, each after a full stop; nothing to choose is one empty word."""
    ways = services().registration.ways(kind)
    return tuple(f".{way}" for way in ways) if len(ways) > 1 else ("",)


def _is_usable(each: Registered) -> bool:
    return each.proves_alone and not each.suspended and each.trusted_from <= services().clock()


def asked_proof(pending_id: str) -> Pending:
    """Return a proof that this portal session was asked for.

    Raises:
        AttemptExpired: None such.
    """
    asked = services().expiring.peek(ASKED, _key(pending_id))
    if asked is None:
        raise AttemptExpired
    return _JSON.validate_json(asked)


def _ask(pending: Pending, form: CodeForm) -> str:
    asked = what_was_asked(pending.asked)
    if asking(pending.kind).leads_elsewhere:
        allow_buttons_to(asked or ())
    return render_template(
        "registration/prove_code.html",
        form=form,
        pending=pending,
        asking=asking(pending.kind),
        asked=asked,
        start_elsewhere=url_for("registration.prove_elsewhere", pending_id=pending.id, **wanted()),
        masked=(pending.masked,),
        way=pending.way,
        is_stranger=False,
        sent_at=pending.sent_at,
        expires_at=pending.expires_at,
        wanted=wanted(),
    )


def _key(pending_id: str) -> str:
    return f"{signed_in().id} {pending_id}"
