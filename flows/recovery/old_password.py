"""How often an old password may be guessed: fewer times than the directory allows before it locks (S6)."""

import datetime as dt

from flows.errors import TooManyAttempts
from store.counters import Counters, Limit

_DAY = dt.timedelta(hours=24)


class OldPasswords:
    """Counts old passwords for each person, whatever name or session they come under."""

    def __init__(self, counters: Counters, most: int) -> None:
        """Take how many wrong ones a person may give in 24 hours."""
        self._counters = counters
        self._most = most

    def count(self, person_id: str, now: dt.datetime) -> int:
        """Count one before the directory is asked, so that many at once count as many.

        Returns:
            How many more may be given if this one is wrong.

        Raises:
            TooManyAttempts: Those of 24 hours are used up; the directory was not asked.
        """
        limit = Limit(f"old password:{person_id}", self._most, _DAY, raised_by=_given_back(person_id))
        verdict = self._counters.hit([limit], now=now)
        if not verdict.allowed:
            raise TooManyAttempts(verdict.retry_after)
        return verdict.left

    def give_back(self, person_id: str, now: dt.datetime) -> None:
        """Give one back: it was right, or the directory could not be asked."""
        # Like right answers, it raises the limit: an atomic operation cannot be undone by another.
        self._counters.hit([Limit(_given_back(person_id), 1_000_000_000, _DAY)], now=now)


def _given_back(person_id: str) -> str:
    return f"old password given back:{person_id}"
