"""The last step of a change: as `password_write`, but the directory is shown the old password.

Security: the old password is asked of the directory only at the very end, from somebody who is signed in
or has given a proof, and fewer times than the directory allows before it locks. Strangers can neither
guess here nor lock anybody out (S6).
"""

import datetime as dt
from dataclasses import replace
from typing import NoReturn

from enforcement.policy import Rule
from flows.audited import AUDITED, CHANGE_AUDITED
from flows.errors import Failed, FlowError, NotPossible, OutcomeIsUnknown, WrongOldPassword
from flows.recovery.attempt import Attempt
from flows.recovery.last_step import LastParts, person_of
from flows.recovery.old_password import OldPasswords
from flows.recovery.password_write import Finished, PasswordParts, PasswordWrite
from idp_plugin.base import Identity
from idp_plugin.errors import IdpError, WrongPassword
from store.audit import AuditAction


class PasswordChange(PasswordWrite):
    """Writes a new password for whoever gives the old one."""

    def __init__(self, parts: LastParts, passwords: PasswordParts, old_passwords: OldPasswords) -> None:
        # Who knows the password was not locked out by the provider: its lock is left as it is.
        parts = replace(parts, locks=None)
        super().__init__(parts, passwords, audited=AUDITED["change"], password_audited=CHANGE_AUDITED)
        self._old_passwords = old_passwords

    def change(self, attempt: Attempt, old: str, new: str, now: dt.datetime) -> Finished:
        """Write a password that our own rules accept; raises as `Change.change`."""
        person_id = person_of(attempt)
        left = self._old_passwords.count(person_id, now)
        try:
            finished = self._run(
                attempt, new, lambda account: self._writer.change_password(account, old, new), now
            )
        except WrongPassword as error:
            raise WrongOldPassword(left) from error
        except OutcomeIsUnknown:
            # Security: it may have been wrong. Whoever can lose answers would guess without an end.
            raise
        except FlowError:
            # It was right, or the directory was not asked.
            self._old_passwords.give_back(person_id, now)
            raise
        self._afterwards("old passwords", attempt, lambda: self._old_passwords.give_back(person_id, now))
        return finished

    def _not_done(
        self, claimed: Attempt, error: IdpError, now: dt.datetime, otherwise: type[Failed]
    ) -> NoReturn:
        if isinstance(error, WrongPassword):
            self._give_back(claimed)
            self._record(claimed, AuditAction.CHANGE_OLD_PASSWORD_REFUSED, now, {})
            raise error
        super()._not_done(claimed, error, now, otherwise)

    def _prepared(self, attempt: Attempt) -> Attempt:
        prepared = super()._prepared(attempt)
        if prepared.capabilities and not prepared.capabilities.takes_old_password:
            raise NotPossible("cannot_change")
        return prepared

    def _confirm(self, attempt: Attempt, now: dt.datetime) -> tuple[Identity, Rule]:
        identity, rule = super()._confirm(attempt, now)
        require_changeable(identity)
        return identity, rule


def require_changeable(identity: Identity) -> None:
    """Require that the directory will take an old password from this person at all.

    Raises:
        NotPossible: `cannot_change` or `locked`; what is locked would refuse the right one, too.
    """
    if not identity.may_change_password:
        raise NotPossible("cannot_change")
    if identity.locked:
        raise NotPossible("locked")
