"""The password policy response control.

Source: draft-behera-ldap-password-policy-10, section 6.2.
"""

import enum
from dataclasses import dataclass

from idp_plugin.ber import Malformed, elements

PASSWORD_POLICY_OID = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 - an object identifier

_WARNING = 0xA0
_ERROR = 0x81
_SECONDS_LEFT = 0x80
_GRACE_LEFT = 0x81


class PasswordPolicyError(enum.IntEnum):
    """The control's `error` values."""

    PASSWORD_EXPIRED = 0
    ACCOUNT_LOCKED = 1
    CHANGE_AFTER_RESET = 2
    PASSWORD_MOD_NOT_ALLOWED = 3
    MUST_SUPPLY_OLD_PASSWORD = 4
    INSUFFICIENT_PASSWORD_QUALITY = 5
    PASSWORD_TOO_SHORT = 6
    PASSWORD_TOO_YOUNG = 7
    PASSWORD_IN_HISTORY = 8
    PASSWORD_TOO_LONG = 9


@dataclass(frozen=True, slots=True)
class PasswordPolicyResponse:
    """What the control said; every field is None where it said nothing or something unknown."""

    error: PasswordPolicyError | None = None
    seconds_before_expiration: int | None = None
    grace_sign_ins_left: int | None = None


def decode(value: bytes) -> PasswordPolicyResponse:
    """Decode a control's value; empty bytes are an empty response.

    Raises:
        Malformed: Truncated or of another shape.
    """
    if not value:
        return PasswordPolicyResponse()
    whole = elements(value)
    if len(whole) != 1 or whole[0][0] != 0x30:
        raise Malformed
    response = PasswordPolicyResponse()
    for tag, content in elements(whole[0][1]):
        if tag == _WARNING:
            response = _with_warning(response, content)
        elif tag == _ERROR:
            response = PasswordPolicyResponse(
                _known_error(_number(content)),
                response.seconds_before_expiration,
                response.grace_sign_ins_left,
            )
    return response


def _with_warning(response: PasswordPolicyResponse, content: bytes) -> PasswordPolicyResponse:
    for tag, number in elements(content):
        if tag == _SECONDS_LEFT:
            return PasswordPolicyResponse(response.error, _number(number), response.grace_sign_ins_left)
        if tag == _GRACE_LEFT:
            return PasswordPolicyResponse(response.error, response.seconds_before_expiration, _number(number))
    return response


def _known_error(number: int) -> PasswordPolicyError | None:
    try:
        return PasswordPolicyError(number)
    except ValueError:
        return None


def _number(content: bytes) -> int:
    if not content or len(content) > 8:
        raise Malformed
    return int.from_bytes(content, "big")
