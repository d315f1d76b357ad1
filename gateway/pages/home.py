"""The home of a signed-in person, and "this was not me"."""

import datetime as dt
from dataclasses import replace

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from flows.recovery.late_passwords import FACTS_OUTLIVE
from gateway import wording
from gateway.errors import page_of_stop
from gateway.forms import ButtonForm
from gateway.pages.portal import member, signed_in
from gateway.services import services
from idp_plugin.base import TargetOutcome
from store.audit import AuditEvent
from store.target_states import TargetState

pages = Blueprint("home", __name__)
RECENT = 10
READ = 100
"""Most rows are about messages, which are not told."""
SAME = dt.timedelta(minutes=5)
"""The same thing twice within this is told once."""


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show what is registered, and what happened lately."""
    session = signed_in()
    status = services().registration.status(member(), now=services().clock())
    return render_template(
        "home.html",
        form=ButtonForm(formdata=None),
        status=status,
        session=session,
        activity=_activity(),
        targets=_targets(),
        may_change=status.rule is not None and status.rule.allows("change"),
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


def _targets() -> list[TargetState]:
    """Return what each target last did with this person's password; empty unless there are several."""
    names = [target.directory for target in services().settings.targets]
    subject = signed_in().subject
    if len(names) < 2:
        return []
    with services().database.reading() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        found = transaction.target_states.of(person.id) if person else ()
    states = {each.target: _settled(each) for each in found}
    return [states[name] for name in names if name in states]


def _settled(state: TargetState) -> TargetState:
    """Return a result as it stands now: nothing is tried again for ever, even where no worker ended it."""
    lives = dt.timedelta(minutes=services().settings.passwords.late_minutes) + FACTS_OUTLIVE
    is_over = state.state == TargetOutcome.LATER and state.at + lives < services().clock()
    return replace(state, state=TargetOutcome.FAILED) if is_over else state


def _activity() -> list[tuple[AuditEvent, str]]:
    """Return what happened lately, newest first, as far as people have words for it."""
    subject = signed_in().subject
    with services().database.transaction() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        events = transaction.audit.recent(person.id, READ) if person else ()
    told: list[tuple[AuditEvent, str]] = []
    for event in events:
        again = told and told[-1][0].action == event.action and told[-1][0].at - event.at < SAME
        if event.action in wording.ACTIVITY and not again:
            told.append((event, str(wording.ACTIVITY[event.action])))
    return told[:RECENT]
