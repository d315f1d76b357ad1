"""What Active Directory's answers mean: result codes, and the Windows error codes beside them.

The texts differ between Windows and Samba, and from release to release; the codes do not.

Source: [MS-ADTS] sections 3.1.1.3.1.5.1 (unicodePwd) and 5.1.1.1.1 (simple bind); [MS-ERREF] section 2.2;
both asked on a live Samba 4.17.
"""

import re

from idp_plugin.base import PasswordState
from idp_plugin.errors import (
    IdpMisconfigured,
    NotPermitted,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.connection import Answer, Session

WRONG_OLD_PASSWORD = 0x56
PASSWORD_RESTRICTION = 0x52D
LOGON_FAILURE = 0x52E
PASSWORD_EXPIRED = 0x532
PASSWORD_MUST_CHANGE = 0x773
ACCOUNT_LOCKED = 0x775
_WRONG_HOURS, _WRONG_PLACE = 0x530, 0x531

_OF_A_BIND = re.compile(r", data ([0-9a-f]{1,8}), v", re.IGNORECASE)
_OF_A_WRITE = re.compile(r"([0-9a-f]{8}): ", re.IGNORECASE)

_SAID_FOR_THE_RIGHT_ONE = {
    PASSWORD_EXPIRED: PasswordState.EXPIRED,
    PASSWORD_MUST_CHANGE: PasswordState.MUST_CHANGE,
    # Of accounts that may not sign in at this hour, or from here.
    _WRONG_HOURS: PasswordState.USABLE,
    _WRONG_PLACE: PasswordState.USABLE,
}
_NOT_PROVED = frozenset({WRONG_OLD_PASSWORD, LOGON_FAILURE, ACCOUNT_LOCKED})


def bind_code(answer: Answer) -> int:
    """Return the Windows error of a refused bind, 0 where there is none."""
    found = _OF_A_BIND.search(answer.diagnostic)
    return int(found[1], 16) if found else 0


def write_code(answer: Answer) -> int:
    """Return the Windows error of a refused write, 0 where there is none."""
    found = _OF_A_WRITE.match(answer.diagnostic)
    return int(found[1], 16) if found else 0


def proved(answer: Answer, session: Session) -> PasswordState:
    """Return what the answer to a person's bind says of a password that was right.

    Raises:
        WrongPassword: Wrong, locked, closed, or nobody.
    """
    if answer.code == ldap.SUCCESS:
        return PasswordState.USABLE
    if answer.code != ldap.INVALID_CREDENTIALS:
        raise IdpMisconfigured(f"bind answered {answer.code} on {session.server}")
    state = _SAID_FOR_THE_RIGHT_ONE.get(bind_code(answer))
    if state is None:
        raise WrongPassword
    return state


def proves(answer: Answer) -> bool:
    """Tell whether a bind's answer is one that only the right password gets."""
    return answer.code == ldap.SUCCESS or bind_code(answer) in _SAID_FOR_THE_RIGHT_ONE


def judge(answer: Answer, reasons: tuple[RefusalReason, ...]) -> None:
    """Turn the answer to a password write into this package's errors.

    Args:
        answer: The server's.
        reasons: What our own reading of the rules finds; the server says "policy" and no more.
    """
    if answer.code == ldap.SUCCESS:
        return
    code = write_code(answer)
    # Windows gives this code both as a violation and as unwilling.
    if code == PASSWORD_RESTRICTION:
        raise PasswordRefused(reasons)
    if code in _NOT_PROVED:
        raise WrongPassword
    _judge_result(answer)


def _judge_result(answer: Answer) -> None:
    match answer.code:
        case ldap.CONSTRAINT_VIOLATION:
            raise PasswordRefused((RefusalReason.OTHER,))
        case ldap.INSUFFICIENT_ACCESS | ldap.UNWILLING | ldap.NO_SUCH_OBJECT:
            raise NotPermitted(f"write answered {answer.code}")
        case _:
            raise IdpMisconfigured(f"write answered {answer.code}")
