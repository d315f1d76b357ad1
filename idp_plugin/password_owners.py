"""One writer over several places that keep the passwords of different people: every write has one owner."""

from collections.abc import Mapping

from idp_plugin.base import (
    ChangeForcer,
    LateWriter,
    PasswordWriter,
    Subject,
    TargetResult,
    WriterCapabilities,
)
from idp_plugin.errors import NotPermitted


class PasswordOwners:
    """A `PasswordWriter` and a `ChangeForcer` that asks the place named by `account.source`.

    Every call raises `NotPermitted` for an account that no place owns.
    """

    def __init__(self, owners: Mapping[str, PasswordWriter]) -> None:
        """Take the places.

        Args:
            owners: By the `source` of their accounts.
        """
        self._owners = dict(owners)

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what the owner promises."""
        return self._owner(account).capabilities(account)

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Reset at the owner; see `PasswordWriter`."""
        return self._owner(account).set_password(account, new)

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Change at the owner; see `PasswordWriter`."""
        return self._owner(account).change_password(account, old, new)

    def unlock(self, account: Subject) -> bool:
        """Unlock at the owner; see `PasswordWriter`."""
        return self._owner(account).unlock(account)

    def require_change(self, account: Subject) -> None:
        """Ask for a change at the owner, where it can; see `ChangeForcer`."""
        owner = self._owner(account)
        if not isinstance(owner, ChangeForcer):
            raise NotPermitted("require_change")
        owner.require_change(account)

    def late_targets(self, account: Subject) -> frozenset[str]:
        """Return what may come later at the owner; see `LateWriter`."""
        owner = self._owner(account)
        return owner.late_targets(account) if isinstance(owner, LateWriter) else frozenset()

    def set_late(self, account: Subject, target: str, new: str) -> None:
        """Write late at the owner; see `LateWriter`."""
        owner = self._owner(account)
        if not isinstance(owner, LateWriter):
            raise NotPermitted("target")
        owner.set_late(account, target, new)

    def _owner(self, account: Subject) -> PasswordWriter:
        owner = self._owners.get(account.source)
        if owner is None:
            raise NotPermitted("owner")
        return owner
