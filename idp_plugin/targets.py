"""One new password for several places, in order, each with a result of its own.

A password cannot be put back. So everything that can be known is asked before the first write; from then
on nothing is called a failure of the whole, and the results say where the new password works. The next
reset repairs what was left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from idp_plugin.base import (
    ChangeForcer,
    Directory,
    PasswordWriter,
    Subject,
    TargetOutcome,
    TargetResult,
    WriterCapabilities,
)
from idp_plugin.errors import IdpError, IdpUnavailable, NotPermitted, OutcomeUnknown

log = structlog.get_logger(__name__)


class TargetDirectory(Directory, PasswordWriter, Protocol):
    """A place where people are found and passwords written."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place that keeps the password."""

    name: str
    place: TargetDirectory
    required: bool = True
    """Whether a reset is refused where this one cannot take part."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A target that has an account of this person, or the reason why it takes no part."""

    target: Target
    account: Subject | None
    outcome: TargetOutcome = TargetOutcome.SKIPPED


_Write = Callable[[Target, Subject], tuple[TargetResult, ...]]


class Targets:
    """A `PasswordWriter` and a `ChangeForcer` over several. Thread-safe.

    Accounts are those of the first target's person.
    """

    def __init__(self, targets: Sequence[Target], *, home: str, username: Callable[[Subject], str]) -> None:
        """Take the targets.

        Args:
            targets: In the order in which they are written.
            home: The target whose accounts the callers know.
            username: Returns the user name of such an account, by which the others know the person;
                raises `NotPermitted` where there is none.
        """
        self._targets = tuple(targets)
        self._home = home
        self._username = username

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what holds at home, with the rules of every other target that could be asked."""
        parts = self._parts(account)
        own = next(part for part in parts if part.target.name == self._home)
        found = own.target.place.capabilities(account)
        others = [self._promised(part) for part in parts if part is not own and part.account]
        rules = tuple(dict.fromkeys(rule for each in (found, *others) for rule in each.rules))
        lengths = [each.minimum_length for each in (found, *others) if each.minimum_length]
        lives = max(each.old_password_lives for each in (found, *others))
        return replace(
            found, rules=rules, minimum_length=max(lengths, default=None), old_password_lives=lives
        )

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Write everywhere; see `PasswordWriter`. Raises only while nothing was written anywhere."""
        return self._write(account, lambda target, its: target.place.set_password(its, new))

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Change at home, which proves the old password, then set it elsewhere."""
        parts = self._parts(account)
        # Security: the old password is proved at home, whether or not a reset could do without home.
        home = [
            replace(part, target=replace(part.target, required=True)) for part in parts if self._is_home(part)
        ]
        others = [part for part in parts if not self._is_home(part)]

        def write(target: Target, its: Subject) -> tuple[TargetResult, ...]:
            if target.name == self._home:
                return target.place.change_password(its, old, new)
            return target.place.set_password(its, new)

        return self._written([*home, *others], write)

    def unlock(self, account: Subject) -> bool:
        """Clear every lock and tell whether there was one; what is not required may fail."""
        ended = False
        for part in self._parts(account):
            if part.account is None:
                continue
            try:
                ended = part.target.place.unlock(part.account) or ended
            except IdpError as error:
                if part.target.required and not ended:
                    raise
                log.warning("target_not_unlocked", target=part.target.name, cause=type(error).__name__)
        return ended

    def require_change(self, account: Subject) -> None:
        """Ask for a new password at the next sign-in, everywhere; see `ChangeForcer`.

        Raises:
            NotPermitted: Also where one that takes part cannot ask for it. Nothing was asked of the others.
            IdpUnavailable: Also where one that is not required does not answer.
        """
        parts = self._parts(account)
        for part in parts:
            if part.outcome is TargetOutcome.FAILED:
                # Security: it may answer again when the password is set, which then opens everything (S23).
                raise IdpUnavailable(part.target.name)
        forcers = [(_forcer(part.target), part.account) for part in parts if part.account]
        for forcer, its in forcers:
            forcer.require_change(its)

    def late_targets(self, account: Subject) -> frozenset[str]:
        """Return the names of those that are not required; see `LateWriter`."""
        del account
        return frozenset(target.name for target in self._targets if not target.required)

    def set_late(self, account: Subject, target: str, new: str) -> None:
        """Write to one that is not required what the others have; see `LateWriter`."""
        late = next((each for each in self._targets if each.name == target and not each.required), None)
        if late is None:
            raise NotPermitted("target")
        username = self._username(account)
        self._require_permitted_at_home(account, username)
        # Now that nothing else depends on it, every reason not to write is told.
        part = self._part(replace(late, required=True), account, username)
        if part.account is None:
            raise NotPermitted("missing")
        late.place.set_password(part.account, new)

    def _require_permitted_at_home(self, account: Subject, username: str) -> None:
        home = next(target for target in self._targets if target.name == self._home)
        person = home.place.find(username)
        if person is None or person.account != account or not person.enabled:
            raise NotPermitted("disabled")
        if person.privileged:
            # Security: what became powerful since is no longer written for (S18).
            raise NotPermitted("privileged")

    def _is_home(self, part: _Part) -> bool:
        return part.target.name == self._home

    def _write(self, account: Subject, write: _Write) -> tuple[TargetResult, ...]:
        return self._written(self._parts(account), write)

    def _parts(self, account: Subject) -> list[_Part]:
        """Find the person everywhere, before anything is written.

        Raises:
            NotPermitted: Privileged or disabled in any of them (S18), or missing in a required one.
            IdpUnavailable: A required one does not answer.
        """
        username = self._username(account)
        return [self._part(target, account, username) for target in self._targets]

    def _part(self, target: Target, account: Subject, username: str) -> _Part:
        if target.name == self._home:
            return _Part(target, account)
        try:
            person = target.place.find(username)
        except IdpError as error:
            if target.required:
                raise
            # Security: it cannot be read, so it is not written to; its own old password stays (S18).
            log.warning("target_not_reached", target=target.name, cause=type(error).__name__)
            return _Part(target, None, TargetOutcome.FAILED)
        # Security: `ß` is no `ss` here (S7).
        if person is None or person.username.lower() != username.lower():
            if target.required:
                raise NotPermitted("missing")
            return _Part(target, None, TargetOutcome.SKIPPED)
        if person.privileged:
            # Security: what this password opens anywhere counts (S18).
            raise NotPermitted("privileged")
        if not person.enabled and target.required:
            raise NotPermitted("disabled")
        return _Part(target, Subject(target.name, person.account.id))

    def _written(self, parts: Sequence[_Part], write: _Write) -> tuple[TargetResult, ...]:
        results: list[TargetResult] = []
        stopped = False
        for part in parts:
            if part.account is None or stopped:
                outcome = part.outcome if part.account is None else TargetOutcome.SKIPPED
                results.append(TargetResult(part.target.name, outcome))
                continue
            result = self._one(part, part.account, write, is_first=not _changed(results))
            results.append(result)
            stopped = part.target.required and result.outcome is not TargetOutcome.WRITTEN
        return tuple(results)

    @staticmethod
    def _one(part: _Part, account: Subject, write: _Write, *, is_first: bool) -> TargetResult:
        name = part.target.name
        try:
            own = write(part.target, account)
        except IdpError as error:
            if part.target.required and is_first:
                raise
            log.warning("target_not_written", target=part.target.name, cause=type(error).__name__)
            match error:
                case OutcomeUnknown():
                    return TargetResult(name, TargetOutcome.UNKNOWN)
                case IdpUnavailable():
                    return TargetResult(name, TargetOutcome.FAILED)
                case _:
                    return TargetResult(name, TargetOutcome.REFUSED)
        convergence = next((each.convergence for each in own), None)
        return TargetResult(name, TargetOutcome.WRITTEN, convergence)

    @staticmethod
    def _promised(part: _Part) -> WriterCapabilities:
        try:
            return part.target.place.capabilities(part.account) if part.account else WriterCapabilities()
        except IdpError:
            if part.target.required:
                raise
            return WriterCapabilities()


def _forcer(target: Target) -> ChangeForcer:
    place = target.place
    if not isinstance(place, ChangeForcer):
        raise NotPermitted("require_change")
    return place


def _changed(results: Sequence[TargetResult]) -> bool:
    """Tell whether anything was written, or may have been."""
    return any(each.outcome in {TargetOutcome.WRITTEN, TargetOutcome.UNKNOWN} for each in results)
