"""Grace: whether registration may still be put off."""

import datetime as dt
from dataclasses import dataclass

from enforcement.policy import Postpone, Rule
from store.people import Postponements


@dataclass(frozen=True, slots=True)
class Postponement:
    """Whether "later" may be said now, and what remains of it."""

    allowed: bool
    left: int
    """How many times it may be said from now on, if the last day is not passed; 0 when not allowed."""
    until: dt.date | None
    """The last day (UTC) on which it may be said; None without such a bound."""


def may_postpone(rule: Rule, postponements: Postponements, *, now: dt.datetime) -> Postponement:
    """Tell whether registration may be put off once more."""
    until = _last_day(rule.postpone, postponements, now)
    in_time = until is None or now.astimezone(dt.UTC).date() <= until
    left = max(rule.postpone.times - postponements.count, 0) if in_time else 0
    return Postponement(allowed=left > 0, left=left, until=until)


def still_postponed(rule: Rule, postponements: Postponements, session_id: str, *, now: dt.datetime) -> bool:
    """Tell whether "later", said in this IdP session, still holds.

    The session's own postponement is one of those counted, so the last one that is allowed holds too.
    """
    until = _last_day(rule.postpone, postponements, now)
    in_time = until is None or now.astimezone(dt.UTC).date() <= until
    return in_time and postponements.count <= rule.postpone.times and postponements.includes(session_id)


def _last_day(postpone: Postpone, postponements: Postponements, now: dt.datetime) -> dt.date | None:
    bounds = [] if postpone.until is None else [postpone.until]
    if postpone.days is not None:
        first = postponements.first_at or now
        bounds.append(first.astimezone(dt.UTC).date() + dt.timedelta(days=postpone.days))
    return min(bounds, default=None)
