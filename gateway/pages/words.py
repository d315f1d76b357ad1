"""Words, times and addresses that every template may use."""

import datetime as dt
from urllib.parse import urlsplit

from flask import Flask
from flask_babel import format_date, format_time, gettext
from markupsafe import Markup

from gateway import wording
from gateway.pages.answers import static_url
from gateway.purpose import purpose_of_page
from gateway.services import services


def register_words(app: Flask) -> None:
    """Give them to the templates."""
    app.jinja_env.globals.update(
        static_url=static_url,
        kind_name=lambda kind: wording.KINDS[kind],
        kind_offer=lambda kind: wording.KIND_OFFERS[kind],
        kind_hint=lambda kind: wording.KIND_HINTS[kind],
        journey_name=lambda: wording.JOURNEYS[purpose_of_page()],
        purpose_of_page=purpose_of_page,
        reason=lambda why: wording.REASONS[why],
    )
    app.jinja_env.filters.update(
        clock=_clock, day=_day, wait=wording.in_minutes, host=_host, isolated=_isolated
    )
    app.context_processor(
        lambda: {"organisation": services().settings.messages.mail.organisation, "now": services().clock()}
    )


def _clock(when: dt.datetime) -> str:
    """Say a time of day; scripts turn it into the person's own zone."""
    return str(gettext("%(time)s UTC", time=format_time(when, "short")))


def _day(when: dt.date) -> str:
    return str(format_date(when, "long"))


def _isolated(value: str) -> Markup:
    """Keep a name, an address or a number from changing places in a sentence of the other direction."""
    return Markup("<bdi>{}</bdi>").format(value)


def _host(application: str) -> str:
    """Say an application by its host; an installed one has none."""
    return urlsplit(application).netloc
