"""Requests of strangers that the queue answers: work, limits, one audit row, one job.

Whoever asks learns nothing: the answer is the same for everything that can be typed, and comes before
anything is looked up (S4). What a stranger typed travels on the sealed queue only.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.abuse.proof_of_work import ProofOfWork
from flows.abuse.throttle import Throttle, address_block
from flows.errors import TooManyAttempts, TooSoon
from flows.ids import new_reference
from flows.messaging.asked import Asked, browser_of
from store.audit import AuditAction
from store.database import Database
from store.jobs import Jobs
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Who asks, as far as the request shows."""

    address: str
    """The client's, for limits and for the message that tells of it."""
    work: str = field(repr=False)
    """Finished work, see `ProofOfWork.accept`; its purpose is the request's."""
    agent: str = ""
    """The `User-Agent` field; only names from a fixed list are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """One sort of request."""

    purpose: str
    """What the work was made for, and what its limits are counted under."""
    job: str
    asked: AuditAction
    typed: Callable[[str], str]
    """What visible limits count for a typed text; it depends on that text alone (S5)."""


class Requests:
    """Takes requests and puts them on the queue."""

    def __init__(
        self, *, database: Database, vault: Vault, jobs: Jobs, throttle: Throttle, work: ProofOfWork
    ) -> None:
        self._database = database
        self._vault = vault
        self._jobs = jobs
        self._throttle = throttle
        self._work = work

    def take(self, sort: Sort, typed: str, stranger: Stranger, *, now: dt.datetime, **more: str) -> str:
        """Take one request.

        Args:
            typed: As typed, of any length and content.
            more: What else the job needs; never anything that was typed freely.

        Returns:
            The reference number that the page shows; it opens nothing.

        Raises:
            WorkNotDone: No work, or not for this.
            TooSoon: The waiting ticket's time has not come.
            TooManyAttempts: For this text, from this address block, or from everywhere.
        """
        way = self._work.accept(stranger.work, sort.purpose, stranger.address, now)
        self._throttle.start(stranger.address, now, waited=way == "waited")
        digest = self._vault.digest(sort.typed(typed), "identifier")
        self._count(digest, sort.purpose, now)
        asked, reference = _asked(stranger, now), new_reference()
        self._record(sort, reference, digest, asked, now)
        body: dict[str, Any] = {"typed": typed, "reference": reference, "asked": asked.to_json(), **more}
        self._jobs.enqueue(sort.job, body)
        return reference

    def _count(self, digest: str, purpose: str, now: dt.datetime) -> None:
        try:
            self._throttle.code(digest, purpose, now)
        except TooSoon as error:
            # Not to be mistaken for a waiting ticket whose time has not come.
            raise TooManyAttempts(error.retry_after) from error

    def _record(self, sort: Sort, reference: str, digest: str, asked: Asked, now: dt.datetime) -> None:
        detail = {"typed": digest[:16], "block": asked.block, "browser": asked.browser}
        with self._database.transaction() as transaction:
            transaction.audit.record(sort.asked, now=now, reference=reference, detail=detail)


def asked_of(body: Mapping[str, Any]) -> Asked:
    """Return when and from where the request of a job was made."""
    return Asked.from_json(body["asked"])


def _asked(stranger: Stranger, now: dt.datetime) -> Asked:
    return Asked(now, address_block(stranger.address), browser_of(stranger.agent))
