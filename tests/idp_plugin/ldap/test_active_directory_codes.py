"""Answers of Windows and of Samba: the codes in them count, their words do not."""

import pytest

from idp_plugin.base import PasswordState
from idp_plugin.errors import (
    IdpError,
    IdpMisconfigured,
    NotPermitted,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap.active_directory_codes import bind_code, judge, write_code
from idp_plugin.ldap.active_directory_codes import proved as proved_on
from idp_plugin.ldap.connection import Answer

WHY = (RefusalReason.IN_HISTORY,)
SAMBA_BIND = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {}, v1db1"
WINDOWS_BIND = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {}, v3839\x00"


class Anywhere:
    """Stands where a session's server is named in an error."""

    server = "dc1.example.test:636"


def proved(answer: Answer) -> PasswordState:
    return proved_on(answer, Anywhere())  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [SAMBA_BIND, WINDOWS_BIND])
@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("532", PasswordState.EXPIRED),
        ("773", PasswordState.MUST_CHANGE),
        ("530", PasswordState.USABLE),
        ("531", PasswordState.USABLE),
    ],
)
def test_some_refusals_of_a_bind_prove_the_password(text: str, code: str, state: PasswordState) -> None:
    assert proved(Answer(49, diagnostic=text.format(code))) is state


@pytest.mark.parametrize("text", [SAMBA_BIND, WINDOWS_BIND])
@pytest.mark.parametrize("code", ["52e", "52E", "525", "533", "701", "775", "0", "ffffffff"])
def test_every_other_refusal_of_a_bind_is_a_wrong_password(text: str, code: str) -> None:
    with pytest.raises(WrongPassword):
        proved(Answer(49, diagnostic=text.format(code)))


@pytest.mark.parametrize(
    "text", ["", "data 773", "password must change 773", "x, data zzz, v1", ", data , v"]
)
def test_text_without_a_code_proves_nothing(text: str) -> None:
    assert bind_code(Answer(49, diagnostic=text)) == 0
    with pytest.raises(WrongPassword):
        proved(Answer(49, diagnostic=text))


def test_a_code_beside_another_result_proves_nothing() -> None:
    with pytest.raises(IdpMisconfigured):
        proved(Answer(8, diagnostic=SAMBA_BIND.format("773")))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            Answer(19, diagnostic="0000052D: Constraint violation - check_password_restrictions: …"),
            PasswordRefused,
        ),
        (Answer(19, diagnostic="0000052D: AtrErr: DSID-03190FC9, #1:\n\t0: 0000052D: …"), PasswordRefused),
        (
            Answer(53, diagnostic="0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM)"),
            PasswordRefused,
        ),
        (Answer(19, diagnostic="00000056: AtrErr: DSID-03191083, #1: …"), WrongPassword),
        (
            Answer(19, diagnostic="00000775: Password change not permitted, account locked out!"),
            WrongPassword,
        ),
        (Answer(19, diagnostic="something never seen"), PasswordRefused),
        (
            Answer(50, diagnostic="00000005: SecErr: DSID-031A1190, problem 4003 (INSUFF_ACCESS_RIGHTS)"),
            NotPermitted,
        ),
        (Answer(53, diagnostic="0000001F: SvcErr: DSID-031A12D2, problem 5003"), NotPermitted),
        (Answer(32, diagnostic="00002030: No such Base DN"), NotPermitted),
        (Answer(12), IdpMisconfigured),
    ],
)
def test_a_refused_write_is_judged_by_its_codes(answer: Answer, error: type[IdpError]) -> None:
    with pytest.raises(error) as raised:
        judge(answer, WHY)
    assert answer.diagnostic[9:] not in str(raised.value) or not answer.diagnostic


def test_only_a_policys_code_gives_the_policys_reasons() -> None:
    with pytest.raises(PasswordRefused) as refused:
        judge(Answer(19, diagnostic="0000052D: …"), WHY)
    assert refused.value.reasons == WHY
    with pytest.raises(PasswordRefused) as refused:
        judge(Answer(19, diagnostic="00000001: 0000052D: …"), WHY)
    assert refused.value.reasons == (RefusalReason.OTHER,)


def test_a_success_is_no_error_whatever_it_says() -> None:
    judge(Answer(0, diagnostic="0000052D: …"), WHY)
    assert write_code(Answer(0, diagnostic="00000000: Success")) == 0


def test_a_servers_words_are_in_no_repr() -> None:
    assert "secret" not in repr(Answer(19, diagnostic="the old password is secret"))
