import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin.ber import Malformed
from idp_plugin.ldap.password_policy_control import (
    PasswordPolicyError,
    PasswordPolicyResponse,
    decode,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", PasswordPolicyResponse()),
        ("3000", PasswordPolicyResponse()),
        ("3003810101", PasswordPolicyResponse(PasswordPolicyError.ACCOUNT_LOCKED)),
        ("3003810100", PasswordPolicyResponse(PasswordPolicyError.PASSWORD_EXPIRED)),
        ("3003810108", PasswordPolicyResponse(PasswordPolicyError.PASSWORD_IN_HISTORY)),
        ("3003810163", PasswordPolicyResponse()),
        ("3006a00480020384", PasswordPolicyResponse(seconds_before_expiration=900)),
        ("3005a003810102", PasswordPolicyResponse(grace_sign_ins_left=2)),
        (
            "3008a003810100810102",
            PasswordPolicyResponse(PasswordPolicyError.CHANGE_AFTER_RESET, grace_sign_ins_left=0),
        ),
        ("308103810102", PasswordPolicyResponse(PasswordPolicyError.CHANGE_AFTER_RESET)),
    ],
)
def test_what_servers_send_is_understood(value: str, expected: PasswordPolicyResponse) -> None:
    assert decode(bytes.fromhex(value)) == expected


@pytest.mark.parametrize(
    "value", ["30", "3003", "30038101", "3080", "308500000000ff", "0400", "30003000", "30028100"]
)
def test_what_is_no_control_is_refused(value: str) -> None:
    with pytest.raises(Malformed):
        decode(bytes.fromhex(value))


@given(st.binary(max_size=64))
def test_no_bytes_do_anything_else(value: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(decode(value), PasswordPolicyResponse)


@given(st.sampled_from(PasswordPolicyError), st.integers(0, 2**31))
def test_every_error_and_warning_comes_through_together(error: PasswordPolicyError, seconds: int) -> None:
    number = seconds.to_bytes(5, "big")
    warning = bytes((0xA0, len(number) + 2, 0x80, len(number))) + number
    content = warning + bytes((0x81, 1, error))
    assert decode(bytes((0x30, len(content))) + content) == PasswordPolicyResponse(error, seconds)
