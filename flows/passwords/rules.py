"""All rules of a new password together: the same while it is typed and when it is submitted.

Only one question waits for the submission, whether the password leaked (S25); and only the directory itself
knows its history.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from flows.passwords.banned import BannedList, Score, is_term
from flows.passwords.breaches import Breaches, BreachesUnavailable
from flows.passwords.estimate import Estimate, estimate
from flows.passwords.finding import Finding, broken, merged, of_directory
from flows.passwords.names import every_name, has_name
from flows.passwords.settings import PasswordsSettings
from idp_plugin.base import WriterCapabilities
from idp_plugin.password_rules import AccountNames
from idp_plugin.password_rules import check as check_directory

_COMMON = 1000
_CLASSES: tuple[Callable[[str], bool], ...] = (
    str.islower,
    str.isupper,
    str.isdecimal,
    lambda letter: not letter.isalnum(),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of a submitted password."""

    broken: tuple[Finding, ...]
    """Findings that do not hold; empty where the password may go to the directory."""
    unasked: str = ""
    """Why it could not be told whether the password leaked; empty where it could, or nobody asks."""


class PasswordRules:
    """What the operator's settings and a directory ask of a new password."""

    def __init__(
        self, settings: PasswordsSettings, *, organisation: str = "", breaches: Breaches | None = None
    ) -> None:
        """Take the settings.

        Args:
            settings: Ours; the directory's rules come with each candidate.
            organisation: Its name, whose words count like banned terms.
            breaches: Where leaked passwords are looked up; None looks nowhere.
        """
        self.settings = settings
        self._breaches = breaches
        self._banned = BannedList(_terms(settings, organisation), needed=settings.banned.points)

    def findings(
        self, candidate: str, *, names: AccountNames, capabilities: WriterCapabilities
    ) -> tuple[Finding, ...]:
        """Return every rule's finding, in the order in which pages show them; asks nobody.

        Args:
            candidate: As typed; never trimmed or normalised.
            names: What it may not contain.
            capabilities: Of the directory that will be written to.
        """
        return self._findings(candidate, names, capabilities, advises=True)

    def judge(self, candidate: str, *, names: AccountNames, capabilities: WriterCapabilities) -> Judgement:
        """Return what is said of a submitted password; may ask a service on the network, once.

        A password that breaks another rule is not looked up.
        """
        # What only advises takes most of the time, and nobody reads it any more.
        wrong = broken(self._findings(candidate, names, capabilities, advises=False))
        if wrong or self._breaches is None:
            return Judgement(wrong)
        try:
            leaked = self._breaches.have(candidate)
        except BreachesUnavailable as error:
            return Judgement((), error.why)
        return Judgement((Finding("not_breached", False),) if leaked else ())

    def score(self, candidate: str) -> Score:
        """Return how a candidate's points against the banned terms come about."""
        return self._banned.score(candidate[: self.settings.longest])

    def _findings(
        self, candidate: str, names: AccountNames, capabilities: WriterCapabilities, *, advises: bool
    ) -> tuple[Finding, ...]:
        ours = [*self._ours(candidate, every_name(names), capabilities)]
        if advises or self.settings.estimate:
            read = candidate[: self.settings.longest]
            ours.append(self._estimated(estimate(read, every_name(names))))
        directory = of_directory(check_directory(capabilities.rules, candidate, names))
        return merged([*ours, *directory])

    def _ours(
        self, candidate: str, names: Iterable[str], capabilities: WriterCapabilities
    ) -> Iterable[Finding]:
        # Security: what is longer than allowed is refused, and never read further than that.
        read = candidate[: self.settings.longest]
        yield from self._shape(candidate, read, capabilities)
        yield Finding("not_name", bool(candidate) and not has_name(read, names))
        yield self._not_banned(read)
        if self._breaches is not None:
            yield Finding("not_breached", None)
        if capabilities.checks_history_on_reset:
            length = capabilities.history_length
            yield Finding("directory_in_history", None, {"count": length} if length else {})

    def _shape(self, candidate: str, read: str, capabilities: WriterCapabilities) -> Iterable[Finding]:
        shortest = max(self.settings.shortest, capabilities.minimum_length or 0)
        longest, classes = self.settings.longest, self.settings.classes
        yield Finding("length_min", len(candidate) >= shortest, {"count": shortest})
        yield Finding("length_max", len(candidate) <= longest, {"count": longest})
        if classes:
            yield Finding("classes_min", _classes(read) >= classes, {"count": classes})
        yield Finding("characters", not any(map(_is_untypable, read)))

    def _not_banned(self, read: str) -> Finding:
        score = self.score(read)
        if not score.terms:
            # What is only short is told by the rule about length.
            return Finding("not_banned", bool(read))
        if score.suffices:
            return Finding("not_banned", True)
        told: dict[str, int | str] = {
            "points": score.points,
            "needed": score.needed,
            "others": score.others,
            "terms": ", ".join(dict.fromkeys(score.terms)),
            "close_to": score.close_to,
        }
        return Finding("not_banned", False, told)

    def _estimated(self, found: Estimate) -> Finding:
        least = self.settings.estimate
        told: dict[str, int | str] = {"score": found.score, "warning": found.warning}
        return Finding("estimate", found.score >= least if least else None, told)


def _terms(settings: PasswordsSettings, organisation: str) -> Iterable[str]:
    """Yield every term; of two that are written alike the later one is shown, so the organisation's own."""
    if settings.banned.common:
        yield from reversed([word for word in FREQUENCY_LISTS["passwords"] if is_term(word)][:_COMMON])
    yield from settings.organisation_words
    yield from (organisation, *organisation.split())
    yield from settings.banned.terms


def _is_untypable(letter: str) -> bool:
    """Tell whether no keyboard types it; a replacement character means that something else was typed."""
    return letter == "\ufffd" or unicodedata.category(letter) in {"Cc", "Cs"}


def _classes(text: str) -> int:
    return sum(any(map(belongs, text)) for belongs in _CLASSES)
