"""How often, per what: visible limits by typed text, address block and the whole; silent ones by person.

Every limit is counted in one atomic operation of `Counters`. Limits by address make the proof of work
harder long before they refuse, so that one noisy client does not shut out the others behind its address.
Who types a name in a browser that is known for it has limits of their own (`known_device`).
"""

import datetime as dt
import ipaddress
from collections.abc import Collection

from flows.errors import TooManyAttempts, TooSoon
from flows.settings import LimitSettings
from store.counters import Counters, Limit

_MINUTE = dt.timedelta(minutes=1)
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
_BLOCK_REFUSED_AFTER = 100
"""Times the limit at which work gets harder: nobody reaches it without spending a core on it."""
_ALL_REFUSED_AFTER = 10
_HARDEST = 6
"""Doublings of the work: what a phone still does in half a minute."""
_UNBOUNDED = 1_000_000_000
_DEVICES = 3
"""Times the wrong answers of one known device that all of a person's may give together: whoever can make one
known, by a stolen password or mailbox, can make many."""


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
        self._lock = dt.timedelta(hours=limits.lock_hours)
        self._answers_count = dt.timedelta(hours=limits.wrong_answers_hours)

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

    def start(self, address: str, now: dt.datetime, *, waited: bool, who: str = "", device: str = "") -> None:
        """Count one attempt started.

        Args:
            address: The client's.
            now: Aware UTC time.
            waited: Whether a waiting ticket came instead of work: the tighter budget.
            who: For whom, as for `code`; empty where that is not counted.
            device: Id of the known device that it is started on: it is counted by itself, and its
                neighbours' noise shuts it out no more than its own theirs.

        Raises:
            TooManyAttempts: The address block, the device, everybody together, or all for this name
                started too many.
        """
        place = f"device:{device}" if device else address_block(address)
        each = self._limits.starts_per_minute
        limits = [
            Limit(f"started:{place}", each * _BLOCK_REFUSED_AFTER, _MINUTE),
            Limit("started", self._limits.starts_per_minute_overall * _ALL_REFUSED_AFTER, _MINUTE),
        ]
        if waited:
            limits.append(Limit(f"waited:{place}", each, _MINUTE))
        if who and self._limits.attempts_per_hour:
            limits.append(Limit(f"attempts:{who}", self._limits.attempts_per_hour, _HOUR, self._lock))
        self._require(limits, now)

    def code(self, who: str, purpose: str, now: dt.datetime) -> None:
        """Count one code that is asked for, by what a stranger typed, by device or by signed-in person.

        Raises:
            TooSoon: Another one was asked for just now.
            TooManyAttempts: This hour's are used up.
        """
        pause = Limit(f"pause:{purpose}:{who}", 1, dt.timedelta(seconds=self._limits.resend_seconds))
        hourly = Limit(f"codes:{purpose}:{who}", self._limits.code_messages_per_hour, _HOUR, self._lock)
        verdict = self._counters.hit([hourly, pause], now=now)
        if verdict.allowed:
            return
        if verdict.exceeded == pause.key:
            raise TooSoon(verdict.retry_after)
        raise TooManyAttempts(verdict.retry_after)

    def code_to_person(
        self, person_id: str, purpose: str, now: dt.datetime, *, destination: str = "", known: bool = False
    ) -> bool:
        """Count one code message silently (S5).

        Args:
            person_id: Who gets it.
            purpose: What the code is for.
            now: Aware UTC time.
            destination: Where it goes, as for `code_to_destination`; empty where that is not counted.
            known: Whether a known device or the helpdesk asked: part of the budget is kept for them.

        Returns:
            False where this person's budget, or the destination's, is used up.
        """
        strangers, kept = self._limits.code_messages_per_hour, self._limits.code_messages_reserved
        limits = [Limit(f"person:{purpose}:{person_id}", strangers + kept, _HOUR)]
        if not known:
            limits.append(Limit(f"strangers:{purpose}:{person_id}", strangers, _HOUR))
        if destination:
            limits.append(self._destination(destination))
        return self._counters.hit(limits, now=now).allowed

    def code_to_destination(self, destination: str, now: dt.datetime) -> None:
        """Count one code to an address that a signed-in person typed, or a digest of it.

        Raises:
            TooManyAttempts: This address got enough of them, whoever asked.
        """
        # Security: half is left for its owner, whose codes of a reset nobody else may use up.
        typed = max(self._limits.code_messages_per_destination // 2, 1)
        self._require([Limit(f"typed:{destination}", typed, _HOUR), self._destination(destination)], now)

    def may_answer(self, who: str, now: dt.datetime) -> None:
        """Count nothing; a refusal locks as that of an answer does.

        Raises:
            TooManyAttempts: The wrong answers of the window are used up.
        """
        limits = [self._answers(who)]
        if not self._counters.peek(limits, now=now).allowed:
            self._require(limits, now)

    def answer(self, who: str, now: dt.datetime) -> int:
        """Count one answer before it is looked at, so that many at once count as many.

        Returns:
            How many more may be given if this one is wrong.

        Raises:
            TooManyAttempts: The wrong answers of the window are used up.
        """
        return self._require([self._answers(who)], now)

    def answer_of_person(self, person: str, now: dt.datetime, *, besides: str = "") -> bool:
        """Count one answer silently; False where nothing may prove this person any more today (S5).

        Args:
            person: Who, or one known device of theirs.
            now: Aware UTC time.
            besides: All known devices of the person together; empty where it came from none.
        """
        limits = [self._answers(f"person:{person}")]
        if besides:
            limits.append(self._answers(f"person:{besides}", times=_DEVICES))
        return self._counters.hit(limits, now=now).allowed

    def unlock(self, person: str, now: dt.datetime) -> None:
        """Count one lock that is about to be ended; nothing but a day gives it back.

        Raises:
            TooManyAttempts: This person's were ended too often today.
        """
        self._require([Limit(f"unlocks:{person}", self._limits.unlocks_per_day, _DAY)], now)

    def finding(self, attempt_id: str, now: dt.datetime) -> None:
        """Count one candidate password that is judged while it is typed.

        Raises:
            TooManyAttempts: This attempt asked too often within a minute.
        """
        self._require([Limit(f"findings:{attempt_id}", self._limits.findings_per_minute, _MINUTE)], now)

    def right(self, who: str, person: str, now: dt.datetime, *, besides: str = "") -> None:
        """Give an answer back to whatever it was counted for: it was right."""
        # All at once: as long as the name refuses, nobody whose answer is right is disbelieved in silence.
        names = (*([f"person:{besides}"] if besides else []), f"person:{person}", who)
        counted = [Limit(f"right:{name}", _UNBOUNDED, self._answers_count) for name in names]
        self._counters.hit(counted, now=now)

    def succeeded(self, names: Collection[str], persons: Collection[str], purpose: str) -> None:
        """Forget attempts, wrong answers and code messages: what the attempt was begun for is done.

        What destinations got and what messages cost stays counted.

        Args:
            names: What visible limits counted it by.
            persons: What silent limits counted it by.
            purpose: Of the attempt.
        """
        self._counters.forget([*_keys_of_names(names, purpose), *_keys_of_persons(persons, purpose)])

    def clear(self, names: Collection[str], persons: Collection[str], purposes: Collection[str]) -> None:
        """Forget everything that is counted for names and persons, as an operator wants it.

        Args:
            names: What visible limits count: typed texts, their known devices, `person:<id>` for the
                signed-in.
            persons: What silent limits count.
            purposes: Of codes.
        """
        self._counters.forget([f"unlocks:{person}" for person in persons])
        for purpose in purposes:
            self.succeeded(names, persons, purpose)
            self._counters.forget([f"pause:{purpose}:{name}" for name in names])

    def _answers(self, who: str, *, times: int = 1) -> Limit:
        # An answer is counted before anybody knows whether it is right. Right ones raise the limit
        # instead of being taken back, because an atomic operation cannot be undone by another.
        most = self._limits.wrong_answers * times
        return Limit(f"answers:{who}", most, self._answers_count, self._lock, raised_by=f"right:{who}")

    def _destination(self, destination: str) -> Limit:
        return Limit(f"destination:{destination}", self._limits.code_messages_per_destination, _HOUR)

    def _recent(self, key: str, now: dt.datetime) -> int:
        return self._counters.count(key, _MINUTE, now=now)

    def _require(self, limits: list[Limit], now: dt.datetime) -> int:
        """Count one, and return how many more are allowed."""
        verdict = self._counters.hit(limits, now=now)
        if not verdict.allowed:
            raise TooManyAttempts(verdict.retry_after)
        return verdict.left


def _keys_of_names(names: Collection[str], purpose: str) -> list[str]:
    return [
        key
        for name in names
        for key in (f"answers:{name}", f"right:{name}", f"attempts:{name}", f"codes:{purpose}:{name}")
    ]


def _keys_of_persons(persons: Collection[str], purpose: str) -> list[str]:
    return [
        key
        for person in persons
        for key in (
            f"answers:person:{person}",
            f"right:person:{person}",
            f"person:{purpose}:{person}",
            f"strangers:{purpose}:{person}",
        )
    ]
