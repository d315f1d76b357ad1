"""Keycloak's own store: writes passwords of people who are in no directory.

An old password cannot be checked: the admin API has no way to, the account API takes no passwords any
more, and a direct grant would be a second way in that no gate sees. So `change_password` refuses, and says
so beforehand.

Source: Keycloak 26.4, `UserResource.resetPassword`; what it answers was taken from a live server. Its
`error` is the key of a message, the same in every language; `error_description` is never read.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from idp_plugin.base import Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import (
    IdpError,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
)
from idp_plugin.keycloak.account_state import UPDATE_PASSWORD, password_written_at
from idp_plugin.keycloak.admin import KeycloakAdmin, RequestRefused, part
from idp_plugin.keycloak.password_policy import RealmPolicyReader
from idp_plugin.keycloak.privilege import Privileges

_REASONS: Mapping[str, RefusalReason] = {
    "invalidPasswordMinLengthMessage": RefusalReason.TOO_SHORT,
    "invalidPasswordMaxLengthMessage": RefusalReason.TOO_LONG,
    "invalidPasswordMinDigitsMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordMinLowerCaseCharsMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordMinUpperCaseCharsMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordMinSpecialCharsMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordNotUsernameMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordNotContainsUsernameMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordNotEmailMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordRegexPatternMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordBlacklistedMessage": RefusalReason.TOO_SIMPLE,
    "invalidPasswordHistoryMessage": RefusalReason.IN_HISTORY,
}

log = structlog.get_logger(__name__)


class KeycloakPasswords:
    """A `PasswordWriter` and a `ChangeForcer`. Thread-safe.

    The service account needs `manage-users`, and `view-realm` to tell the rules beforehand.
    """

    def __init__(self, admin: KeycloakAdmin) -> None:
        self._admin = admin
        self._policies = RealmPolicyReader(admin)
        self._privileges = Privileges(admin)

    def capabilities(self, account: Subject) -> WriterCapabilities:
        """Return what the realm's policy promises."""
        user = self._user(account)
        policy = self._policies.read()
        return WriterCapabilities(
            checks_history_on_reset=policy.checks_history,
            unlocks_on_reset=True,
            minimum_length=policy.minimum_length,
            history_length=policy.history or None,
            rules=policy.rules(str(user.get("username", "")), str(user.get("email", ""))),
            takes_old_password=False,
        )

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        """Write a new password, then forget the wrong ones; it need not be changed at the next sign-in."""
        _require_text(new)
        self._require_writable(account)
        before = self._written_at(account)
        credential = {"type": "password", "value": new, "temporary": False}
        try:
            self._admin.put(_path(account, "reset-password"), credential)
        except RequestRefused as refused:
            raise PasswordRefused((_REASONS.get(refused.code, RefusalReason.OTHER),)) from refused
        except OutcomeUnknown:
            if not self._was_written(account, before):
                raise
            log.warning("keycloak_write_settled")
        self._forget_failures(account)
        return ()

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        """Refuse: nothing here can check an old password; see `WriterCapabilities.takes_old_password`."""
        del account, old, new
        raise NotPermitted("change")

    def unlock(self, account: Subject) -> bool:
        """Forget wrong passwords where they lock the account, and nothing else."""
        self._require_writable(account)
        status = self._admin.get(_failures(account)) or {}
        if not status.get("disabled"):
            return False
        self._admin.delete(_failures(account))
        return True

    def require_change(self, account: Subject) -> None:
        """Let the person do nothing at the next sign-in before choosing another password."""
        user = self._require_writable(account)
        actions = [*dict.fromkeys([*user.get("requiredActions", ()), UPDATE_PASSWORD])]
        try:
            # Security: nothing else goes along; an account that is closed at this moment stays closed (S17).
            self._admin.put(_path(account), {"requiredActions": actions})
        except RequestRefused as refused:
            raise NotPermitted("require_change") from refused

    def _user(self, account: Subject) -> dict[str, Any]:
        """Return the person as Keycloak writes it now.

        Raises:
            NotPermitted: Nobody, or somebody whose password lives elsewhere.
        """
        if account.source != self._admin.issuer or not account.id:
            raise NotPermitted("missing")
        user = self._admin.get(_path(account))
        if not user:
            raise NotPermitted("missing")
        if user.get("federationLink"):
            # A federated password is written once, at its owner; Keycloak would pass it on, or keep a second.
            raise NotPermitted("federated")
        return dict(user)

    def _require_writable(self, account: Subject) -> dict[str, Any]:
        """Return the person, if this package may write to it now (S17, S18).

        Raises:
            NotPermitted: Missing, federated, closed or privileged.
        """
        user = self._user(account)
        if not user.get("enabled"):
            raise NotPermitted("disabled")
        if self._privileges.has_power(user):
            raise NotPermitted("privileged")
        return user

    def _written_at(self, account: Subject) -> int:
        return password_written_at(self._admin.get(_path(account, "credentials")))

    def _was_written(self, account: Subject, before: int) -> bool:
        """Tell whether the password is a newer one than before the write whose answer was lost (S19)."""
        try:
            return self._written_at(account) > before
        except IdpError:
            return False

    def _forget_failures(self, account: Subject) -> None:
        try:
            self._admin.delete(_failures(account))
        except IdpError:
            # The password is written; a lock ends by itself or by an unlock.
            log.warning("keycloak_lock_left")


def _path(account: Subject, below: str = "") -> str:
    return f"users/{part(account.id)}" + (f"/{below}" if below else "")


def _failures(account: Subject) -> str:
    return f"attack-detection/brute-force/users/{part(account.id)}"


def _require_text(new: str) -> None:
    """Refuse what would not arrive as a password: empty, or not text."""
    if not new:
        raise PasswordRefused((RefusalReason.TOO_SHORT,))
    if any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in new):
        raise PasswordRefused((RefusalReason.OTHER,))
