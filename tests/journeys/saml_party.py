"""A SAML relying party of the least kind: it makes requests and reads answers, as forms and addresses.

Whether answers are sound is not for it to say: `tests.servers.mellon` verifies them.
"""

import base64
import datetime as dt
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from tests.servers.keycloak import Realm
from tests.servers.visitor import forms

CONSUMER = "http://127.0.0.1/saml/consumer"
"""Nobody listens there: the visitor stops before it."""
REQUEST = """\
<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
  xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}"
  Destination="{endpoint}" AssertionConsumerServiceURL="{consumer}"
  ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}"{wishes}>
  <saml:Issuer>{issuer}</saml:Issuer></samlp:AuthnRequest>"""


ENVELOPE = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'
RESOLVE = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<samlp:ArtifactResolve xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
  xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}"
  Destination="{endpoint}"><saml:Issuer>{issuer}</saml:Issuer>
<samlp:Artifact>{artifact}</samlp:Artifact></samlp:ArtifactResolve></e:Body></e:Envelope>"""


@dataclass(frozen=True, slots=True)
class SamlRequestMade:
    """One request, ready to be sent."""

    id: str
    endpoint: str
    document: str
    relay_state: str

    @property
    def address(self) -> str:
        """For the redirect binding."""
        packer = zlib.compressobj(wbits=-15)
        message = base64.b64encode(packer.compress(self.document.encode()) + packer.flush()).decode()
        return f"{self.endpoint}?{urlencode({'SAMLRequest': message, 'RelayState': self.relay_state})}"

    @property
    def form(self) -> dict[str, str]:
        """For the POST binding."""
        message = base64.b64encode(self.document.encode()).decode()
        return {"SAMLRequest": message, "RelayState": self.relay_state}


@dataclass(frozen=True, slots=True)
class SamlParty:
    """Known to one realm."""

    entity_id: str
    realm: Realm
    binding: str = "HTTP-POST"
    """How answers come."""

    def asks(self, relay_state: str = "where they were", **wishes: str) -> SamlRequestMade:
        """Make a request.

        Args:
            wishes: Attributes, such as `ForceAuthn="true"`.
        """
        made = "_" + secrets.token_hex(16)
        endpoint = f"{self.realm.issuer}/protocol/saml"
        document = REQUEST.format(
            id=made,
            now=_now(),
            endpoint=endpoint,
            consumer=CONSUMER,
            binding=self.binding,
            issuer=self.entity_id,
            wishes="".join(f' {name}="{value}"' for name, value in wishes.items()),
        )
        return SamlRequestMade(made, endpoint, document, relay_state)

    def fetches(self, artifact: str) -> "SamlArrival":
        """Ask the identity provider, without a browser, for what an artifact stands for."""
        endpoint = f"{self.realm.issuer}/protocol/saml/resolve"
        made = "_" + secrets.token_hex(16)
        body = RESOLVE.format(
            id=made, now=_now(), endpoint=endpoint, issuer=self.entity_id, artifact=artifact
        )
        answer = httpx.post(endpoint, content=body, headers={"Content-Type": "text/xml"}, trust_env=False)
        return SamlArrival({"SAMLResponse": base64.b64encode(answer.raise_for_status().content).decode()})

    def asks_without_a_browser(self, credentials: tuple[str, str]) -> httpx.Response:
        """Send a request with a name and a password, as enhanced clients do."""
        made = self.asks()
        return httpx.post(
            made.endpoint,
            content=ENVELOPE.format(made.document),
            headers={"Content-Type": "text/xml"},
            auth=credentials,
            trust_env=False,
        )


@dataclass(frozen=True, slots=True)
class SamlArrival:
    """What the browser brings to a relying party."""

    fields: Mapping[str, str] = field(repr=False)

    @property
    def document(self) -> str:
        """The response as XML; empty for an artifact."""
        message = base64.b64decode(self.fields.get("SAMLResponse", ""))
        return (
            (message if message.startswith(b"<") else zlib.decompress(message, -15)).decode()
            if message
            else ""
        )

    @property
    def in_response_to(self) -> str:
        """Of the response."""
        found = re.search(r'<samlp:Response[^>]* InResponseTo="([^"]*)"', self.document)
        return found[1] if found else ""

    @property
    def statuses(self) -> list[str]:
        """Last words of the status codes, outer first."""
        return re.findall(r'StatusCode Value="[^"]*:(\w+)"', self.document)


def register_party(
    realm: Realm, entity_id: str, *, binding: str = "HTTP-POST", **attributes: str
) -> SamlParty:
    """Make a relying party known to a realm; its requests need no signature."""
    known = {
        "saml.client.signature": "false",
        "saml.server.signature": "true",
        "saml.assertion.signature": "true",
        "saml.authnstatement": "true",
        "saml.force.post.binding": "true" if binding == "HTTP-POST" else "false",
        "saml_idp_initiated_sso_url_name": entity_id.rpartition(":")[2],
        "saml_assertion_consumer_url_post": CONSUMER,
        "saml_assertion_consumer_url_redirect": CONSUMER,
    }
    if binding == "HTTP-Artifact":
        known |= {"saml.artifact.binding": "true", "saml_artifact_binding_url": CONSUMER}
    client = {
        "clientId": entity_id,
        "protocol": "saml",
        "redirectUris": [CONSUMER],
        "attributes": {**known, **attributes},
    }
    realm.admin("POST", "/clients", json=client)
    return SamlParty(entity_id, realm, binding)


def saml_arrival(answer: httpx.Response) -> SamlArrival:
    """Read an answer that leaves the provider."""
    location = answer.headers.get("location", "")
    if location:
        assert location.startswith(CONSUMER), location
        return SamlArrival(dict(parse_qsl(urlsplit(location).query)))
    found = [form for form in forms(answer) if form.action == CONSUMER]
    assert found, (answer.status_code, str(answer.url), answer.text[-800:])
    return SamlArrival(found[0].fields)


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
