"""Words, times and addresses that every template may use."""

import datetime as dt
from urllib.parse import urlsplit

from flask import Flask
from flask_babel import format_date
from markupsafe import Markup

from flows.authenticators import phone_number
from gateway import wording
from gateway.pages.adding import ADDINGS
from gateway.pages.answers import static_url
from gateway.pages.asking import asking
from gateway.purpose import purpose_of_page
from gateway.question_wording import question
from gateway.services import services


def register_words(app: Flask) -> None:
    """Give them to the templates."""
    app.jinja_env.globals.update(
        static_url=static_url,
        addings=ADDINGS,
        question=question,
        is_sent=lambda kind: asking(kind).is_sent,
        kind_name=lambda kind: wording.KINDS[kind],
        kind_offer=lambda kind: wording.KIND_OFFERS[kind],
        kind_hint=lambda kind: wording.KIND_HINTS[kind],
        journey_name=lambda: wording.JOURNEYS[purpose_of_page()],
        purpose_of_page=purpose_of_page,
        reason=lambda why: wording.REASONS[why],
        target_outcome=lambda outcome: wording.TARGETS[outcome],
    )
    app.jinja_env.filters["number"] = _number
    app.jinja_env.filters.update(
        clock=wording.clock, day=_day, wait=wording.in_minutes, host=_host, isolated=_isolated
    )
    app.context_processor(
        lambda: {"organisation": services().settings.messages.mail.organisation, "now": services().clock()}
    )


def _day(when: dt.date) -> str:
    return str(format_date(when, "long"))


def _isolated(value: str) -> Markup:
    """Keep a name, an address or a number from changing places in a sentence of the other direction."""
    return Markup("<bdi>{}</bdi>").format(value)


def _number(stored: str) -> Markup:
    """Write a phone number as people of all countries do, from left to right in every language."""
    number = phone_number.stored(stored.encode())
    return Markup('<bdi dir="ltr">{}</bdi>').format(phone_number.preview(number).written)


def _host(application: str) -> str:
    """Say an application by its host; an installed one has none."""
    return urlsplit(application).netloc
