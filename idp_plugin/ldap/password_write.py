"""One password write to an OpenLDAP server: what may be sent, and what the answer means.

Source: RFC 3062; draft-behera-ldap-password-policy-10 section 8.
"""

from idp_plugin.base import PasswordState
from idp_plugin.errors import (
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.connection import Answer, Entry, Session
from idp_plugin.ldap.password_policy_control import PasswordPolicyError

_REASONS = {
    PasswordPolicyError.PASSWORD_TOO_SHORT: RefusalReason.TOO_SHORT,
    PasswordPolicyError.PASSWORD_TOO_LONG: RefusalReason.TOO_LONG,
    PasswordPolicyError.INSUFFICIENT_PASSWORD_QUALITY: RefusalReason.TOO_SIMPLE,
    PasswordPolicyError.PASSWORD_IN_HISTORY: RefusalReason.IN_HISTORY,
    PasswordPolicyError.PASSWORD_TOO_YOUNG: RefusalReason.TOO_YOUNG,
    PasswordPolicyError.PASSWORD_MOD_NOT_ALLOWED: RefusalReason.CHANGE_NOT_ALLOWED,
}


class PasswordWrite:
    """One password write on its way: what is needed to find out what became of it."""

    def __init__(self, new: str) -> None:
        self.new = new
        self.server: Server | None = None
        self.person: Entry | None = None

    def begins(self, session: Session, person: Entry) -> None:
        """Note where, and how the entry was just before."""
        self.server = session.server
        self.person = person


def bind_as_person(session: Session, dn: str, password: str) -> PasswordState:
    """Bind; after EXPIRED the connection must not be used any more."""
    answer = session.bind(dn, password)
    if answer.code == ldap.SUCCESS:
        if answer.policy.error is PasswordPolicyError.CHANGE_AFTER_RESET:
            return PasswordState.MUST_CHANGE
        in_grace = answer.policy.grace_sign_ins_left is not None
        return PasswordState.GRACE if in_grace else PasswordState.USABLE
    if answer.code != ldap.INVALID_CREDENTIALS:
        raise IdpMisconfigured(f"bind answered {answer.code} on {session.server}")
    if answer.policy.error is PasswordPolicyError.PASSWORD_EXPIRED:
        # Said only for the right password.
        return PasswordState.EXPIRED
    raise WrongPassword


def require_writable(new: str) -> None:
    """Refuse what would not arrive as a password: empty (the server would make one up) or not text."""
    if not new:
        raise PasswordRefused((RefusalReason.TOO_SHORT,))
    if any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in new):
        raise PasswordRefused((RefusalReason.OTHER,))


def judge(answer: Answer) -> None:
    """Turn the answer to a password write into this package's errors."""
    error = answer.policy.error
    if answer.code == ldap.SUCCESS:
        return
    if error in _REASONS:
        raise PasswordRefused((_REASONS[error],))
    match answer.code:
        case ldap.CONSTRAINT_VIOLATION:
            raise PasswordRefused((RefusalReason.OTHER,))
        case ldap.INSUFFICIENT_ACCESS | ldap.UNWILLING | ldap.NO_SUCH_OBJECT:
            raise NotPermitted(f"write answered {answer.code}")
        case ldap.NO_SUCH_ATTRIBUTE | ldap.VALUE_EXISTS:
            # Two writes at once: what the policy was going to remove or note was so already; slapd then
            # changes nothing.
            raise IdpUnavailable("another write at the same moment")
        case _:
            raise IdpMisconfigured(f"write answered {answer.code}")
