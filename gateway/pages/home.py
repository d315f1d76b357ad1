"""The home of a signed-in person, and "this was not me"."""

import datetime as dt

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from gateway import wording
from gateway.errors import page_of_stop
from gateway.forms import ButtonForm
from gateway.pages.portal import member, signed_in
from gateway.services import services
from store.audit import AuditEvent

pages = Blueprint("home", __name__)
RECENT = 10
SAME = dt.timedelta(minutes=5)
"""The same thing twice within this is told once."""


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show what is registered, and what happened lately."""
    session = signed_in()
    status = services().registration.status(member(), now=services().clock())
    return render_template(
        "home.html", form=ButtonForm(formdata=None), status=status, session=session, activity=_activity()
    )


@pages.get("/not-me/<reference>")
def ask_to_stop(reference: str) -> ResponseReturnValue:
    """Show a button; opening the link changes nothing, whoever follows it (rule 6)."""
    if not services().registration.may_stop(reference):
        return page_of_stop("old_notice", 410)
    return render_template("not_me.html", form=ButtonForm(formdata=None), reference=reference, stopped=False)


@pages.post("/not-me/<reference>")
def stop(reference: str) -> ResponseReturnValue:
    """Freeze what the notice told about."""
    if not services().registration.stop_binding(reference, now=services().clock()):
        return page_of_stop("old_notice", 410)
    return render_template("not_me.html", form=ButtonForm(formdata=None), reference=reference, stopped=True)


def _activity() -> list[tuple[AuditEvent, str]]:
    """Return what happened lately, newest first, as far as people have words for it."""
    subject = signed_in().subject
    with services().database.transaction() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        events = transaction.audit.recent(person.id, 4 * RECENT) if person else ()
    told: list[tuple[AuditEvent, str]] = []
    for event in events:
        again = told and told[-1][0].action == event.action and told[-1][0].at - event.at < SAME
        if event.action in wording.ACTIVITY and not again:
            told.append((event, str(wording.ACTIVITY[event.action])))
    return told[:RECENT]
