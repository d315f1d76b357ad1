"""Telling administrators that a weaker version of the policy waits (S23)."""

import datetime as dt

from enforcement.proposals import Waiting
from flows.notices.alarms import JOB, Event, alarm_everybody
from gateway.settings import Settings
from gateway.stores import open_vault, redis_beside
from store.jobs import Jobs


def tell_of(waiting: Waiting, jobs: Jobs, now: dt.datetime) -> None:
    """Have the administrators told.

    Raises:
        StoreUnavailable: Nobody can be told now; it waits all the same.
    """
    facts = {
        "number": str(waiting.number),
        "author": waiting.author,
        "weaker": ", ".join(sorted({each.told for each in waiting.weaker})),
    }
    alarm_everybody(jobs, Event.POLICY_WEAKER, now=now, facts=facts)


def tell_beside(waiting: Waiting, settings: Settings, now: dt.datetime) -> None:
    """Do so from a command, by the queue of the running gateway; raises as `tell_of`."""
    jobs = Jobs(redis_beside(settings), open_vault(settings))
    # The gateway runs it.
    jobs.register(JOB, lambda _body: None)
    try:
        tell_of(waiting, jobs, now)
    finally:
        jobs.stop()
