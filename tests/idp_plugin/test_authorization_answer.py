"""The origin rule: what counts as an authorization answer, and what never does."""

import base64
import zlib
from urllib.parse import quote

import pytest

from idp_plugin.authorization_answer import targets
from idp_plugin.base import Exchange
from idp_plugin.saml_response import PROTOCOL

PUBLIC = "https://sso.example.org"


def exchange(
    *headers: tuple[str, str], body: bytes = b"", status: int = 302, target: bytes = b"/authorize?x=1"
) -> Exchange:
    fields = tuple((name.encode(), value.encode("latin-1")) for name, value in headers)
    return Exchange(b"GET", target, (), b"", status, fields, body)


def leaves(seen: Exchange) -> bool:
    return any(target.hands_over and not target.stays(PUBLIC) for target in targets(seen))


@pytest.mark.parametrize(
    "location",
    [
        "https://app.example.org/cb?code=c&state=s",
        "https://app.example.org/cb#id_token=t&state=s",
        "https://app.example.org/cb?x=1#access_token=t",
        "https://app.example.org/cb?response=jarm",
        "https://app.example.org/cb?SAMLResponse=AAAA",
        "com.example.app:/cb?code=c",
        "com.example.app:cb?code=c",
        "urn:ietf:wg:oauth:2.0:oob?code=c",
        "//app.example.org/cb?code=c",
        "/\\app.example.org/cb?code=c",
        "/\t/app.example.org/cb?code=c",
        "https:app.example.org/cb?code=c",
        "https:/\\app.example.org/cb?code=c",
        " https://app.example.org/cb?code=c",
        "https://sso.example.org.evil.example/cb?code=c",
        "https://sso.example.org@evil.example/cb?code=c",
        "https://sso.example.org:444/cb?code=c",
        "HTTPS://SSO.example.org:8443/cb?code=c",
        "https://sso.example.org\\@evil.example/cb?code=c",
        "https://app.example.org/cb?c%6Fde=c",
        "https://app.example.org/cb?co\tde=c",
        "https://app.example.org/cb?error=x&code=c",
        "https://app.example.org/cb?code=",
        "https://app.ex\xe4mple/cb?code=c",
    ],
)
def test_what_leaves_with_a_credential_is_an_answer(location: str) -> None:
    assert leaves(exchange(("Location", location)))


@pytest.mark.parametrize(
    "location",
    [
        "https://app.example.org/cb?error=access_denied&state=s",
        "https://app.example.org/logged-out?state=s",
        "https://idp2.example/auth?response_type=code&code_challenge=x",
        "https://sso.example.org/realms/corp/account/?code=c",
        "https://sso.example.org?code=c",
        "/realms/corp/broker/other/endpoint?code=c",
        "login?code=c",
        "?code=c",
        "#code=c",
    ],
)
def test_what_stays_or_carries_nothing_is_none(location: str) -> None:
    assert not leaves(exchange(("Location", location)))


@pytest.mark.parametrize("status", [200, 201, 301, 302, 303, 307, 308, 404])
def test_the_status_does_not_matter(status: int) -> None:
    assert leaves(exchange(("location", "https://app.example.org/cb?code=c"), status=status))


def test_a_second_location_and_a_refresh_are_seen() -> None:
    assert leaves(exchange(("Location", "/here"), ("LOCATION", "https://app.example.org/cb?code=c")))
    assert leaves(exchange(("Refresh", "0; url=https://app.example.org/cb?code=c"), status=200))


FORM = (
    '<HTML><HEAD><TITLE>OIDC Form_Post Response</TITLE></HEAD><BODY Onload="document.forms[0].submit()">'
    '<FORM METHOD="POST" ACTION="https://app.example.org/cb?a=1&amp;b=2">'
    '<INPUT TYPE="HIDDEN" NAME="code" VALUE="c" />'
    '<INPUT TYPE="HIDDEN" NAME="state" VALUE="s&amp;t" /></FORM></BODY></HTML>'
)


@pytest.mark.parametrize(
    "page",
    [
        FORM,
        FORM.lower(),
        FORM.replace('NAME="code"', "name = 'code'"),
        FORM.replace('NAME="code"', "name=code"),
        FORM.replace('NAME="code"', 'name="id_token"'),
        FORM.replace("</FORM></BODY></HTML>", ""),
        "<form action='/search'><input name=q></form>" + FORM,
        '<meta http-equiv="Refresh" content="0;url=https://app.example.org/cb?code=c">',
        "<meta http-equiv=refresh content='0; https://app.example.org/cb?code=c'>",
    ],
)
@pytest.mark.parametrize(
    "content_type", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml", ""]
)
def test_pages_that_hand_over_are_answers(page: str, content_type: str) -> None:
    types = [("Content-Type", content_type)] if content_type else []
    assert leaves(exchange(*types, body=page.encode(), status=200))


def test_a_form_on_the_origin_or_without_a_credential_is_none() -> None:
    consent = FORM.replace("https://app.example.org/cb?a=1&amp;b=2", f"{PUBLIC}/login-actions/consent")
    html = ("Content-Type", "text/html")
    assert not leaves(exchange(html, body=consent.encode(), status=200))
    assert not leaves(exchange(html, body=FORM.replace('"code"', '"error"').encode(), status=200))
    assert not leaves(exchange(("Content-Type", "application/json"), body=FORM.encode(), status=200))


def test_a_form_gives_its_fields_unescaped() -> None:
    target = next(
        target for target in targets(exchange(("Content-Type", "text/html"), body=FORM.encode(), status=200))
    )
    answer = target.answer()
    assert answer.redirect_uri == "https://app.example.org/cb"
    assert answer.parameters == {"a": "1", "b": "2", "code": "c", "state": "s&t"}
    assert answer.mode == "form_post"


@pytest.mark.parametrize("name", ["iss", "session_state", "state"])
def test_what_a_redirect_address_brings_itself_is_not_believed(name: str) -> None:
    location = f"https://app.example.org/cb?{name}=mine&code=c&{name}=theirs"
    answer = next(targets(exchange(("Location", location)))).answer()
    assert answer.parameters[name] == ""


def saml(
    root: str, status: str = "urn:oasis:names:tc:SAML:2.0:status:Success", *, deflate: bool = False
) -> str:
    document = (
        f'<samlp:{root} xmlns:samlp="{PROTOCOL}"><samlp:Status><samlp:StatusCode Value="{status}"/>'
        f"</samlp:Status></samlp:{root}>"
    ).encode()
    if deflate:
        packer = zlib.compressobj(wbits=-15)
        document = packer.compress(document) + packer.flush()
    return base64.b64encode(document).decode()


@pytest.mark.parametrize("deflate", [True, False])
def test_a_saml_sign_in_is_an_answer_and_a_logout_or_error_none(deflate: bool) -> None:
    def by_redirect(document: str) -> Exchange:
        return exchange(("Location", f"https://sp.example.org/acs?SAMLResponse={quote(document)}"))

    assert leaves(by_redirect(saml("Response", deflate=deflate)))
    assert not leaves(by_redirect(saml("LogoutResponse", deflate=deflate)))
    refused = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    assert not leaves(by_redirect(saml("Response", refused, deflate=deflate)))


def test_a_saml_answer_that_cannot_be_read_counts_as_one() -> None:
    bomb = zlib.compressobj(wbits=-15)
    packed = bomb.compress(b" " * 50_000_000) + bomb.flush()
    for value in ("!!!", base64.b64encode(b"<other/>").decode(), base64.b64encode(packed).decode()):
        form = FORM.replace('NAME="code" VALUE="c"', f'name="SAMLResponse" value="{value}"')
        assert leaves(exchange(("Content-Type", "text/html"), body=form.encode(), status=200))


def test_an_answer_of_two_protocols_is_of_none() -> None:
    def protocol(query: str) -> str:
        (target,) = targets(exchange(("Location", f"https://app.example.org/cb?{query}")))
        return target.answer().protocol

    assert protocol("code=c") == protocol("response=jarm") == "oidc"
    assert protocol("SAMLart=AAQ") == protocol("SAMLResponse=AAAA") == "saml"
    assert protocol("ticket=ST-1") == "cas"
    assert protocol("wresult=x") == "ws_federation"
    assert protocol("SAMLart=AAQ&code=c") == protocol("ticket=ST-1&code=c") == ""
    assert protocol("ticket=17&code=c") == "oidc"


@pytest.mark.parametrize("name", ["SAMLart", "wresult", "ticket"])
def test_forms_of_every_protocol_are_answers(name: str) -> None:
    form = FORM.replace('NAME="code" VALUE="c"', f'name="{name}" value="ST-1"')
    assert leaves(exchange(("Content-Type", "text/html"), body=form.encode(), status=200))


def test_a_saml_refusal_refuses_and_a_sign_in_does_not() -> None:
    refused = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    for status, refuses in ((refused, True), ("urn:oasis:names:tc:SAML:2.0:status:Success", False)):
        location = f"https://sp.example.org/acs?SAMLResponse={quote(saml('Response', status))}"
        (target,) = targets(exchange(("Location", location)))
        assert (target.refuses, target.hands_over) == (refuses, not refuses)
