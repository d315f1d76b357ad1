"""A refusal that is handed on unexamined has to be one, and to go where the answer went."""

import base64
from typing import Any, cast

import httpx
import pytest

from gateway.interception.saml_passive import PassiveRefusals
from idp_plugin.base import Unrecognised
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.saml_response import PROTOCOL
from tests.gateway.interception.test_saml_request import CONSUMER, answered, document, read


def form(status: str, *, to: str = CONSUMER, inside: str = "") -> str:
    xml = (
        f'<p:Response xmlns:p="{PROTOCOL}"><p:Status>'
        f'<p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></p:Status>{inside}</p:Response>'
    )
    value = base64.b64encode(xml.encode()).decode()
    return f'<form method="post" action="{to}"><input name="SAMLResponse" value="{value}"></form>'


class Provider:
    """Answers every request alike."""

    public = "https://sso.example.org"

    def __init__(self, page: str) -> None:
        self.page = page
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, address: str, **options: Any) -> httpx.Response:
        self.asked.append({"method": method, "address": address, **options})
        headers = {"Content-Type": "text/html", "Set-Cookie": "session=nobody"}
        return httpx.Response(200, headers=headers, text=self.page)


def refusals(provider: Provider) -> PassiveRefusals:
    return PassiveRefusals(cast(OidcProvider, provider))


def test_the_providers_refusal_is_handed_on_without_its_cookies() -> None:
    provider, request = Provider(form("Responder")), read(document(more='IsPassive="true"'))
    refusal = refusals(provider).refuse(request, answered())
    assert refusal.body == provider.page.encode()
    assert b"set-cookie" not in {name.lower() for name, _ in refusal.headers}
    (asked,) = provider.asked
    assert asked["address"] == provider.public + request.target.partition("\n")[0]
    assert "cookie" not in {name.lower() for name in asked["headers"]}


@pytest.mark.parametrize(
    "page",
    [
        form("Success"),
        form("Responder", inside='<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/>'),
        form("Responder", to="https://evil.example.org/acs"),
        form("Responder") + form("Responder"),
        form("Responder") + form("Success", to="https://other.example.org/acs"),
        "<h1>Sign in</h1>",
    ],
    ids=["a sign-in", "with an assertion", "to elsewhere", "twice", "beside a sign-in", "a page"],
)
def test_anything_else_is_handed_on_to_nobody(page: str) -> None:
    with pytest.raises(Unrecognised):
        refusals(Provider(page)).refuse(read(document(more='IsPassive="true"')), answered())
