"""The directory as an agent may use it: its subtrees and no more, asked through the dialect's adapter."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from idp_plugin.base import ChangeForcer, Identity, PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import NotPermitted, WrongPassword
from idp_plugin.last_write import LastWrite

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

    def verify_password(self, account: Subject, password: str, *, server: str = "") -> PasswordState:
        """Check a password by one bind at this server, or at any; raises `WrongPassword`."""

    def last_write(self, account: Subject) -> LastWrite | None:
        """Return when the password was last written, and which server says so; None where it never was."""


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

    def set_password(self, subject_id: str, new: str) -> tuple[TargetResult, ...]:
        """Write a new password; raises as `PasswordWriter`, `NotPermitted` outside the subtrees."""
        return self._write(lambda dialect, account: dialect.set_password(account, new), subject_id)

    def change_password(self, subject_id: str, old: str, new: str) -> tuple[TargetResult, ...]:
        """Change the password; raises as `PasswordWriter`."""
        return self._write(lambda dialect, account: dialect.change_password(account, old, new), subject_id)

    def unlock(self, subject_id: str) -> bool:
        """Clear a temporary lock; raises as `PasswordWriter`."""
        return self._write(lambda dialect, account: dialect.unlock(account), subject_id)

    def require_change(self, subject_id: str) -> None:
        """Ask for a new password at the next sign-in; raises as `ChangeForcer`."""

        def force(dialect: Dialect, account: Subject) -> None:
            if not isinstance(dialect, ChangeForcer):
                raise NotPermitted("require_change")
            dialect.require_change(account)

        self._write(force, subject_id)

    def opens(self, subject_id: str, password: str, *, server: str = "") -> bool:
        """Tell by one bind whether a password is right; an expired or must-change one is.

        Args:
            subject_id: Of the account.
            password: Which one.
            server: Where; any of the directory's when empty.
        """
        for dialect in self._dialects:
            try:
                dialect.verify_password(self._account(subject_id), password, server=server)
            except WrongPassword:
                continue
            return True
        return False

    def last_write(self, subject_id: str) -> LastWrite | None:
        """Return when the account's password was last written, where the directory tells."""
        found = (each.last_write(self._account(subject_id)) for each in self._dialects)
        return next((write for write in found if write), None)

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
