"""How often, per what: visible limits by typed text, address block and the whole; silent ones by person.

Every limit is counted in one atomic operation of `Counters`. Limits by address make the proof of work
harder before they refuse, so that one noisy client does not shut out the others behind its address.
"""

import datetime as dt
import ipaddress

from flows.errors import TooManyAttempts, TooSoon
from flows.settings import LimitSettings
from store.counters import Counters, Limit

_MINUTE = dt.timedelta(minutes=1)
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(hours=24)
_REFUSED_AFTER = 10
"""Times the limit at which work gets harder."""
_HARDEST = 6
"""Doublings of the work."""
_UNBOUNDED = 1_000_000_000


def address_block(address: str) -> str:
    """Return the network that is counted for one address: IPv4 /24, IPv6 /56.

    An IPv4 address written inside an IPv6 one counts as itself. Anything else becomes `unknown`, one block.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    prefix = 24 if parsed.version == 4 else 56
    return str(ipaddress.ip_network((parsed, prefix), strict=False))


class Throttle:
    """The limits of every journey."""

    def __init__(self, counters: Counters, limits: LimitSettings) -> None:
        self._counters = counters
        self._limits = limits

    def work_difficulty(self, address: str, now: dt.datetime) -> int:
        """Return how many hashes the next attempt costs on average; it never depends on a name (S5).

        Doubles with every full budget of starts in the last minute, of the address block or of everybody.
        """
        mine = self._recent(f"started:{address_block(address)}", now) // self._limits.starts_per_minute
        everybody = self._recent("started", now) // self._limits.starts_per_minute_overall
        return self._limits.work_difficulty << min(mine + everybody, _HARDEST)

    def waiting(self, address: str, now: dt.datetime) -> dt.timedelta:
        """Return how long a waiting ticket waits: longer for each one used in the last minute."""
        used = self._recent(f"waited:{address_block(address)}", now)
        return dt.timedelta(seconds=self._limits.wait_without_script_seconds) * (1 + used)

    def start(self, address: str, now: dt.datetime, *, waited: bool) -> None:
        """Count one attempt started.

        Args:
            address: The client's.
            now: Aware UTC time.
            waited: Whether a waiting ticket came instead of work: the tighter budget.

        Raises:
            TooManyAttempts: The address block, or everybody together, started too many.
        """
        block = address_block(address)
        each = self._limits.starts_per_minute
        limits = [
            Limit(f"started:{block}", each * _REFUSED_AFTER, _MINUTE),
            Limit("started", self._limits.starts_per_minute_overall * _REFUSED_AFTER, _MINUTE),
        ]
        if waited:
            limits.append(Limit(f"waited:{block}", each, _MINUTE))
        self._require(limits, now)

    def code(self, who: str, purpose: str, now: dt.datetime) -> None:
        """Count one code that is asked for, by what a stranger typed or by the signed-in person.

        Raises:
            TooSoon: Another one was asked for just now.
            TooManyAttempts: This hour's are used up.
        """
        pause = Limit(f"pause:{purpose}:{who}", 1, dt.timedelta(seconds=self._limits.resend_seconds))
        hourly = Limit(f"codes:{purpose}:{who}", self._limits.code_messages_per_hour, _HOUR)
        verdict = self._counters.hit([hourly, pause], now=now)
        if verdict.allowed:
            return
        if verdict.exceeded == pause.key:
            raise TooSoon(verdict.retry_after)
        raise TooManyAttempts(verdict.retry_after)

    def code_to_person(self, person_id: str, purpose: str, now: dt.datetime) -> bool:
        """Count one code message silently; False where this person's budget is used up (S5)."""
        key = f"person:{purpose}:{person_id}"
        return self._counters.hit([Limit(key, self._limits.code_messages_per_hour, _HOUR)], now=now).allowed

    def code_to_destination(self, destination: str, now: dt.datetime) -> None:
        """Count one code to an address that a signed-in person typed.

        Raises:
            TooManyAttempts: This address got enough of them, whoever asked.
        """
        self._require([Limit(f"destination:{destination}", self._limits.code_messages_per_hour, _HOUR)], now)

    def may_answer(self, who: str, now: dt.datetime) -> None:
        """Count nothing.

        Raises:
            TooManyAttempts: The wrong answers of 24 hours are used up.
        """
        verdict = self._counters.peek([self._answers(who, now)], now=now)
        if not verdict.allowed:
            raise TooManyAttempts(verdict.retry_after)

    def answer(self, who: str, now: dt.datetime) -> int:
        """Count one answer before it is looked at, so that many at once count as many.

        Returns:
            How many more may be given if this one is wrong.

        Raises:
            TooManyAttempts: The wrong answers of 24 hours are used up.
        """
        limit = self._answers(who, now)
        self._require([limit], now)
        return max(limit.most - self._counters.count(limit.key, _DAY, now=now), 0)

    def answer_of_person(self, person: str, now: dt.datetime) -> bool:
        """Count one answer silently; False where nothing may prove this person any more today (S5)."""
        return self._counters.hit([self._answers(f"person:{person}", now)], now=now).allowed

    def right(self, who: str, person: str, now: dt.datetime) -> None:
        """Give an answer back to the typed text and to the person: it was right."""
        for name in (who, f"person:{person}"):
            self._counters.hit([Limit(f"right:{name}", _UNBOUNDED, _DAY)], now=now)

    def succeeded(self, who: str, person: str) -> None:
        """Forget wrong answers: the password was written."""
        names = (who, f"person:{person}")
        self._counters.forget([f"{kind}:{name}" for name in names for kind in ("answers", "right")])

    def _answers(self, who: str, now: dt.datetime) -> Limit:
        # An answer is counted before anybody knows whether it is right. Right ones raise the limit
        # instead of being taken back, because an atomic operation cannot be undone by another.
        right = self._counters.count(f"right:{who}", _DAY, now=now)
        return Limit(f"answers:{who}", self._limits.wrong_answers + right, _DAY)

    def _recent(self, key: str, now: dt.datetime) -> int:
        return self._counters.count(key, _MINUTE, now=now)

    def _require(self, limits: list[Limit], now: dt.datetime) -> None:
        verdict = self._counters.hit(limits, now=now)
        if not verdict.allowed:
            raise TooManyAttempts(verdict.retry_after)
