"""The directory as an agent may use it: its subtrees and no more, asked through the dialect's adapter."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from idp_plugin.base import Identity, PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import NotPermitted, WrongPassword

T = TypeVar("T")


class Dialect(Protocol):
    """What an adapter must be able to do behind an agent."""

    def find(self, identifier: str) -> Identity | None:
        """See `Directory`."""

    def get(self, subject: Subject) -> Identity | None:
        """See `Directory`."""

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """See `PasswordWriter`."""

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """See `PasswordWriter`."""

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """See `PasswordWriter`."""

    def unlock(self, account: Subject) -> bool:
        """See `PasswordWriter`."""

    def verify_password(self, account: Subject, password: str) -> PasswordState:
        """Check a password by one bind; raises `WrongPassword`."""

    def password_changed_at(self, account: Subject) -> dt.datetime | None:
        """Return when the password was last written, by the directory's clock; None where it never was."""


class AgentDirectory:
    """One adapter per subtree; the first that knows the account does the work. Thread-safe."""

    def __init__(self, dialects: Sequence[Dialect], *, name: str, source: str) -> None:
        """Take the adapters.

        Args:
            dialects: One per subtree, in the order of the settings.
            name: The directory's name; the source of accounts.
            source: The adapters' `Identity.subject.source`.
        """
        self._dialects = tuple(dialects)
        self._name = name
        self._source = source

    def find(self, identifier: str) -> Identity | None:
        """Return the one person of this name in any subtree; more than one is nobody (S7)."""
        found = [person for each in self._dialects if (person := each.find(identifier))]
        return found[0] if len(found) == 1 else None

    def get(self, subject_id: str) -> Identity | None:
        """Return the person with this id, if in a subtree."""
        found = (each.get(Subject(self._source, subject_id)) for each in self._dialects)
        return next((person for person in found if person), None)

    def capabilities(self, subject_id: str) -> WriterCapabilities:
        """Return what holds for this account."""
        return self._at(subject_id).capabilities(self._account(subject_id))

    def set_password(self, subject_id: str, new: str) -> None:
        """Write a new password; raises as `PasswordWriter`, `NotPermitted` outside the subtrees."""
        self._write(lambda dialect, account: dialect.set_password(account, new), subject_id)

    def change_password(self, subject_id: str, old: str, new: str) -> None:
        """Change the password; raises as `PasswordWriter`."""
        self._write(lambda dialect, account: dialect.change_password(account, old, new), subject_id)

    def unlock(self, subject_id: str) -> bool:
        """Clear a temporary lock; raises as `PasswordWriter`."""
        return self._write(lambda dialect, account: dialect.unlock(account), subject_id)

    def opens(self, subject_id: str, password: str) -> bool:
        """Tell by one bind whether a password is right; an expired or must-change one is."""
        for dialect in self._dialects:
            try:
                dialect.verify_password(self._account(subject_id), password)
            except WrongPassword:
                continue
            return True
        return False

    def changed_at(self, subject_id: str) -> dt.datetime | None:
        """Return when the account's password was last written, where the directory tells."""
        found = (each.password_changed_at(self._account(subject_id)) for each in self._dialects)
        return next((moment for moment in found if moment), None)

    def _account(self, subject_id: str) -> Subject:
        return Subject(self._name, subject_id)

    def _at(self, subject_id: str) -> Dialect:
        if len(self._dialects) > 1:
            subject = Subject(self._source, subject_id)
            return next((each for each in self._dialects if each.get(subject)), self._dialects[0])
        return self._dialects[0]

    def _write(self, work: Callable[[Dialect, Subject], T], subject_id: str) -> T:
        # Security: an adapter searches below its own base only, so an account elsewhere is missing in each.
        for dialect in self._dialects[:-1]:
            try:
                return work(dialect, self._account(subject_id))
            except NotPermitted as error:
                if error.what != "missing":
                    raise
        return work(self._dialects[-1], self._account(subject_id))
