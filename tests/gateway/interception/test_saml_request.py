"""SAML requests: which answer is whose, what rules may go by, and how a request is sent again."""

import base64
import dataclasses
import datetime as dt
import zlib
from urllib.parse import quote, urlencode

import pytest

from gateway.interception.again import Replay, Repost, again
from gateway.interception.authorization_request import ReleasePlan
from gateway.interception.parked import ON_THE_WAY, parked_until
from gateway.interception.saml_request import (
    LONGEST_MESSAGE,
    SamlRequest,
    accepted_saml_request,
    read_kept,
    read_saml_request,
    saml_client,
)
from idp_plugin.base import AuthorizationAnswer, Exchange
from idp_plugin.saml_response import ASSERTION, PROTOCOL

PATH = b"/realms/corp/protocol/saml"
SP, OTHER = "https://sp.example.org", "https://other.example.org"
CONSUMER = "https://sp.example.org/acs"
FORM_FIELDS = ((b"Content-Type", b"application/x-www-form-urlencoded"),)


def document(made: str = "_1", issuer: str = SP, more: str = "", root: str = "AuthnRequest") -> str:
    return (
        f'<p:{root} xmlns:p="{PROTOCOL}" xmlns:a="{ASSERTION}" ID="{made}" {more}>'
        f"<a:Issuer>{issuer}</a:Issuer></p:{root}>"
    )


def by_redirect(xml: str, relay_state: str = "r") -> bytes:
    packer = zlib.compressobj(wbits=-15)
    message = base64.b64encode(packer.compress(xml.encode()) + packer.flush()).decode()
    return PATH + b"?" + urlencode({"SAMLRequest": message, "RelayState": relay_state}).encode()


def by_post(xml: str, relay_state: str = "r") -> bytes:
    message = base64.b64encode(xml.encode()).decode()
    return urlencode({"SAMLRequest": message, "RelayState": relay_state}).encode()


def read(xml: str) -> SamlRequest:
    request = read_saml_request(by_redirect(xml))
    assert request
    return request


def answered(in_response_to: str = "_1", *audiences: str, relay_state: str = "r") -> AuthorizationAnswer:
    told = "".join(f"<a:Audience>{each}</a:Audience>" for each in audiences)
    stated = f' InResponseTo="{in_response_to}"' if in_response_to else ""
    xml = (
        f'<p:Response xmlns:p="{PROTOCOL}" xmlns:a="{ASSERTION}"{stated}><a:Assertion><a:Conditions>'
        f"<a:AudienceRestriction>{told}</a:AudienceRestriction></a:Conditions></a:Assertion></p:Response>"
    )
    fields = {"SAMLResponse": base64.b64encode(xml.encode()).decode(), "RelayState": relay_state}
    return AuthorizationAnswer(CONSUMER, fields, "form_post", "saml")


ARTIFACT = AuthorizationAnswer(CONSUMER, {"SAMLart": "AAQ=", "RelayState": "r"}, "query", "saml")


def test_a_request_is_read_alike_by_both_bindings() -> None:
    redirected, posted = (
        read_saml_request(by_redirect(document())),
        read_saml_request(PATH, by_post(document())),
    )
    assert redirected
    assert posted
    assert dataclasses.replace(redirected, target="") == dataclasses.replace(posted, target="")
    assert (posted.id, posted.client_id, posted.relay_state) == ("_1", SP, "r")
    assert read_kept(redirected.target) == redirected
    assert read_kept(posted.target) == posted


@pytest.mark.parametrize(
    ("more", "is_passive", "plan"),
    [
        ("", False, ReleasePlan.EXACT),
        ('ForceAuthn="false" IsPassive="0"', False, ReleasePlan.EXACT),
        ('ForceAuthn="true"', False, ReleasePlan.PARKED_THEN_EXACT),
        ('ForceAuthn="1" IsPassive="true"', True, ReleasePlan.PARKED_THEN_EXACT),
    ],
)
def test_what_a_request_forces_decides_how_it_is_released(
    more: str, is_passive: bool, plan: ReleasePlan
) -> None:
    request = read(document(more=more))
    assert (request.is_passive, request.plan) == (is_passive, plan)


def test_a_request_for_an_assurance_is_parked() -> None:
    wish = f'<p:RequestedAuthnContext xmlns:p="{PROTOCOL}"/></p:AuthnRequest>'
    assert read(document().replace("</p:AuthnRequest>", wish)).plan is ReleasePlan.PARKED_THEN_EXACT


@pytest.mark.parametrize(
    ("target", "form"),
    [
        (by_redirect(document(root="LogoutRequest")), None),
        (by_redirect("<!DOCTYPE x>" + document()), None),
        (by_redirect(document()) + b"&SAMLRequest=again", None),
        (by_redirect(document()) + b"&RelayState=again", None),
        (PATH + b"?SAMLResponse=x", None),
        (PATH + b"?SAMLRequest=%21", None),
        (by_redirect(document()), by_post(document())),
        (PATH, b"RelayState=r"),
        (PATH + b"?x=" + b"y" * LONGEST_MESSAGE, None),
    ],
)
def test_what_is_no_request_or_says_anything_twice_is_not_kept(target: bytes, form: bytes | None) -> None:
    assert read_saml_request(target, form) is None


def test_only_what_the_provider_took_is_kept() -> None:
    def kept(
        status: int = 200, method: bytes = b"GET", target: bytes = by_redirect(document())
    ) -> SamlRequest | None:
        exchange = Exchange(method, target, FORM_FIELDS, by_post(document()), status, (), b"")
        return accepted_saml_request(exchange, (PATH,))

    assert kept()
    assert kept(method=b"POST", target=PATH)
    assert kept(target=PATH + b"/clients/sp?RelayState=r")
    assert kept(status=400) is None
    assert kept(target=b"/elsewhere" + by_redirect(document())) is None
    assert kept(target=PATH + b"2?RelayState=r") is None


def test_an_answer_belongs_to_the_request_that_it_names() -> None:
    request = read(document())
    assert request.is_answered_by(answered("_1", SP))
    assert request.is_answered_by(answered("_1"))
    assert not request.is_answered_by(answered("_2", SP))
    assert not request.is_answered_by(answered("_1", OTHER))
    assert not request.is_answered_by(answered("", SP))
    assert not request.is_answered_by(dataclasses.replace(answered("_1", SP), protocol=""))


def test_an_unasked_answer_belongs_to_no_request() -> None:
    unasked = read_saml_request(PATH + b"/clients/sp")
    assert unasked
    assert unasked.is_answered_by(answered("", SP, relay_state="of the provider"))
    assert not unasked.is_answered_by(answered("_1", SP))
    with_state = read_saml_request(PATH + b"/clients/sp?RelayState=mine")
    assert with_state
    assert not with_state.is_answered_by(answered("", SP, relay_state="another"))


def test_an_artifact_belongs_to_whoever_has_its_relay_state() -> None:
    assert read(document()).is_answered_by(ARTIFACT)
    assert not dataclasses.replace(read(document()), relay_state="q").is_answered_by(ARTIFACT)


def test_rules_go_by_the_answers_own_word() -> None:
    step = PATH.replace(b"protocol/saml", b"login-actions/authenticate?client_id=") + quote(OTHER).encode()
    asked = read(document())
    assert saml_client(answered("_1", SP), None, step=step) == SP
    assert saml_client(answered("_1", SP), dataclasses.replace(asked, client_id=OTHER), step=step) == SP
    assert saml_client(answered("_1"), asked, step=step) == SP
    assert saml_client(answered("_1"), None, step=step) == OTHER
    assert saml_client(ARTIFACT, None, step=PATH) == ""
    assert saml_client(answered("_1", SP, OTHER), asked, step=step) == SP
    assert saml_client(answered("_1", SP, "urn:third"), None, step=step) == ""


def test_a_request_is_sent_again_as_it_came() -> None:
    target = by_redirect(document(), "a b+c%").decode()
    redirected, posted = (
        read_saml_request(target.encode()),
        read_saml_request(PATH, by_post(document(), "a&b")),
    )
    assert redirected
    assert posted
    assert again("https://sso", redirected.target, application=SP) == Replay("https://sso" + target)
    repost = again("https://sso", posted.target, application=SP)
    assert isinstance(repost, Repost)
    assert (repost.action, repost.application) == ("https://sso" + PATH.decode(), SP)
    assert dict(repost.fields)["RelayState"] == "a&b"
    assert "SAMLRequest" not in repr(repost)


def test_a_parked_answer_lives_as_long_as_it_says_itself() -> None:
    now = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)

    def until(good_until: str) -> dt.timedelta:
        xml = f'<p:Response xmlns:p="{PROTOCOL}"><x NotOnOrAfter="{good_until}"/></p:Response>'
        fields = {"SAMLResponse": base64.b64encode(xml.encode()).decode()}
        parked = parked_until(
            AuthorizationAnswer(CONSUMER, fields, "form_post", "saml"),
            now=now,
            default=dt.timedelta(seconds=55),
            most=dt.timedelta(minutes=30),
        )
        return parked - now

    assert until("2026-05-04T12:05:00Z") == dt.timedelta(minutes=5) - ON_THE_WAY
    assert until("2026-05-05T12:00:00Z") == dt.timedelta(minutes=30)
    assert until("2026-05-04T12:00:01.5Z") < dt.timedelta(0)
    assert until("whenever") == until("2026-05-04T12:05:00") == dt.timedelta(seconds=55)
