"""What goes wrong, as a page: refusals become a sentence beside their field, failures a reference number."""

import datetime as dt
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import structlog
from flask import Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_babel.speaklater import LazyString
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from flows import errors as flow
from gateway import question_wording, wording
from gateway.browser import is_new_browser
from gateway.plane.observe import new_reference
from gateway.purpose import purpose_of_page
from gateway.services import services
from idp_plugin.errors import IdpError, IdpUnavailable
from store.errors import StoreUnavailable

log = structlog.get_logger("sparekey.pages")


def _wrong_code(refused: flow.WrongCode) -> str:
    return str(
        ngettext(
            "That code did not match. You can try %(num)s more time",
            "That code did not match. You can try %(num)s more times",
            refused.attempts_left,
        )
    )


def _wrong_old_password(refused: flow.WrongOldPassword) -> str:
    return str(
        ngettext(
            "That is not your current password. You can try %(num)s more time",
            "That is not your current password. You can try %(num)s more times",
            refused.attempts_left,
        )
    )


def _later(refused: flow.TooManyAttempts) -> str:
    both = _both_ways(refused.retry_after)
    return str(_("That is enough for now. Try again in %(wait)s (%(time)s)", **both))


def _soon(refused: flow.TooSoon) -> str:
    both = _both_ways(refused.retry_after)
    return str(_("You can ask for another code in %(wait)s (%(time)s)", **both))


def _both_ways(wait: dt.timedelta) -> dict[str, str]:
    """Say a wait, and the time at which it ends."""
    return {"wait": wording.in_minutes(wait), "time": wording.clock(services().clock() + wait)}


# Each refusal that belongs beside a field: how it reads, and with which status the page is shown again.
BESIDE_FIELD: Mapping[type[flow.Refused], tuple[Callable[..., str], int]] = {
    flow.WrongCode: (_wrong_code, 422),
    flow.WrongOldPassword: (_wrong_old_password, 422),
    flow.CodeExpired: (lambda _refused: _("This code is no longer good. Ask for a new one"), 422),
    flow.WorkNotDone: (
        lambda _refused: _("The check for robots did not come through. Please press the button once more"),
        422,
    ),
    flow.TooManyAttempts: (_later, 429),
    flow.TooSoon: (_soon, 429),
    flow.WeakPassword: (lambda _refused: _("This password does not fit the rules yet"), 422),
    flow.UnusableAddress: (lambda refused: str(wording.ADDRESS_PROBLEMS[refused.why]), 422),
    flow.UnusableNumber: (lambda refused: str(wording.NUMBER_PROBLEMS[refused.why]), 422),
    flow.UnusableAnswers: (lambda refused: str(question_wording.PROBLEMS[refused.why]), 422),
    flow.LastMethod: (lambda _refused: _("Add another way back in first. You need this one"), 422),
}


class ShownIn:
    """A block whose refusals end up beside a form's first visible field.

    A code that ran out of tries is not among them: the attempt is over, and a page of its own says so.
    """

    def __init__(
        self, form: FlaskForm, field: str, instead: Mapping[type[flow.Refused], LazyString] | None = None
    ) -> None:
        """Take the form, the field, and what reads otherwise here than anywhere else."""
        self._form = form
        self._field = field
        self._instead = instead or {}
        self.status = 422

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Keep the refusal for the page; let everything else through."""
        del kind, trace
        is_over = isinstance(error, flow.WrongCode) and error.attempts_left <= 0
        if not isinstance(error, flow.Refused) or is_over or type(error) not in BESIDE_FIELD:
            return False
        sentence, self.status = BESIDE_FIELD[type(error)]
        instead = self._instead.get(type(error))
        self._form[self._field].errors = [sentence(error) if instead is None else instead]
        return True


def page_of_failure(what: str, status: int, error: BaseException | None = None) -> ResponseReturnValue:
    """Log a failure under a new reference number and return the generic page."""
    reference = request.environ.get("sparekey.reference") or new_reference()
    log.error(what, reference=reference, page=request.endpoint, error=type(error).__name__, exc_info=error)
    page = render_template("failure.html", what=what, reference=reference)
    return page, status, {"Retry-After": "60"} if status == 503 else {}


def page_of_stop(what: str, status: int, **facts: object) -> ResponseReturnValue:
    """Return a page that says why it does not go on here and what to do instead."""
    return render_template("stop.html", what=what, **facts), status


def register_errors(app: Flask) -> None:
    """Give every error a page."""
    app.register_error_handler(flow.AttemptExpired, _over)
    app.register_error_handler(flow.WrongCode, _over)
    app.register_error_handler(flow.CodeExpired, _over)
    app.register_error_handler(
        flow.WrongStage, lambda _error: redirect(url_for(f"{purpose_of_page()}.resume"), 303)
    )
    app.register_error_handler(flow.TooManyAttempts, _limit)
    app.register_error_handler(flow.TooSoon, _limit)
    app.register_error_handler(flow.NotPossible, _not_possible)
    app.register_error_handler(flow.OutcomeIsUnknown, lambda error: page_of_failure("unknown", 502, error))
    app.register_error_handler(flow.NotReachable, lambda error: page_of_failure("unreachable", 503, error))
    app.register_error_handler(flow.Unavailable, lambda error: page_of_failure("unavailable", 503, error))
    app.register_error_handler(StoreUnavailable, lambda error: page_of_failure("unavailable", 503, error))
    app.register_error_handler(IdpUnavailable, lambda error: page_of_failure("unavailable", 503, error))
    app.register_error_handler(IdpError, lambda error: page_of_failure("failed", 502, error))
    app.register_error_handler(flow.FlowError, lambda error: page_of_failure("failed", 500, error))
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, lambda error: page_of_failure("failed", 500, error))


def _over(error: flow.Refused) -> ResponseReturnValue:
    if isinstance(error, flow.AttemptMoved):
        return page_of_stop("moved", 410)
    again = {"registration": "registration.show", "change_password": "change_password.start"}
    start = again.get(request.blueprint or "", f"{purpose_of_page()}.start")
    return page_of_stop("over", 410, start=url_for(start))


def _limit(error: flow.TooManyAttempts | flow.TooSoon) -> ResponseReturnValue:
    seconds = max(1, int(error.retry_after.total_seconds()))
    at = services().clock() + error.retry_after
    page = render_template("stop.html", what="limit", wait=wording.in_minutes(error.retry_after), at=at)
    return page, 429, {"Retry-After": str(seconds)}


def _not_possible(error: flow.NotPossible) -> ResponseReturnValue:
    may_unlock = error.why == "locked" and services().unlock.is_offered()
    sentence = wording.not_possible(error.why, purpose_of_page())
    return page_of_stop("not_possible", 403, sentence=sentence, may_unlock=may_unlock)


def _forged(_error: CSRFError) -> ResponseReturnValue:
    return page_of_stop("cookies" if is_new_browser() else "stale_form", 400)


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error
    known = {404: "not_found", 405: "method", 413: "too_large", 415: "method"}
    page = render_template("stop.html", what=known.get(status, "misunderstood"))
    kept = {name: value for name, value in error.get_headers() if name == "Allow"}
    return page, status, kept
