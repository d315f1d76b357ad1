"""A SAML application that nobody here wrote: apache with mod_auth_mellon, which verifies by lasso.

Signs its requests, wants signed assertions, and remembers which request it made.
"""

import contextlib
import datetime as dt
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.servers.presence import missing, program
from tests.servers.processes import answers, free_port, reachable_folder, running, tail
from tests.servers.versions import ReportVersion

MODULES = Path("/usr/lib/apache2/modules")
USED = (
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "alias",
    "headers",
    "dir",
    "auth_mellon",
)
BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"

CONFIGURATION = """\
ServerRoot {folder}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
LogLevel warn
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
{user}
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
LimitRequestLine 40000
{modules}
MellonLockFile {folder}/mellon.lock
DocumentRoot {folder}/pages
AliasMatch ^/private/ {folder}/pages/private.html
<Directory {folder}/pages>
  SetHandler default-handler
  Header always set Content-Type text/html
  Require all granted
</Directory>
<Location />
  MellonEnable info
  MellonEndpointPath /mellon
  MellonVariable mellon{port}
  MellonSecureCookie secure
  MellonCookieSameSite none
  MellonSPPrivateKeyFile {folder}/key.pem
  MellonSPMetadataFile {folder}/sp.xml
  MellonIdPMetadataFile {folder}/idp.xml
  Header always set X-Signed-In "%{{MELLON_NAME_ID}}e" "expr=-n env('MELLON_NAME_ID')"
</Location>
<Location /private/>
  MellonEnable auth
  AuthType Mellon
  Require valid-user
</Location>
"""

METADATA = """\
<EntityDescriptor entityID="{entity_id}" xmlns="urn:oasis:names:tc:SAML:2.0:metadata"
    xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
  <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"
      AuthnRequestsSigned="true" WantAssertionsSigned="true">
    <KeyDescriptor use="signing">
      <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>
    </KeyDescriptor>
    <SingleLogoutService Binding="{bindings}HTTP-Redirect" Location="{address}/mellon/logout"/>
    <NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</NameIDFormat>
    <AssertionConsumerService index="0" isDefault="true" Binding="{bindings}HTTP-POST"
      Location="{consumer}"/>
  </SPSSODescriptor>
</EntityDescriptor>
"""

PAGE = '<!doctype html><html lang="en"><title>The SAML application</title><h1>Signed in by SAML</h1>'


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The application's signing key."""

    key: str
    """PEM."""
    certificate: str
    """Base64 of the DER, as metadata holds it."""


@dataclass(frozen=True, slots=True)
class Mellon:
    """A running application."""

    port: int
    """On 127.0.0.1."""
    keys: KeyPair
    """For the identity provider's registration."""
    scratch: Path
    """Its folder is in there."""

    @property
    def address(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """`error.log`."""
        return self.scratch / f"mellon-{self.port}"

    @property
    def entity_id(self) -> str:
        """Its name at the identity provider."""
        return f"{self.address}/mellon/metadata"

    @property
    def consumer(self) -> str:
        """Where answers go."""
        return f"{self.address}/mellon/postResponse"

    def page(self, path: str = "") -> str:
        """Return a page that only people who signed in see."""
        return f"{self.address}/private/{path}"

    def metadata(self) -> str:
        """Return the application's metadata."""
        return METADATA.format(
            entity_id=self.entity_id,
            certificate=self.keys.certificate,
            bindings=BINDINGS,
            address=self.address,
            consumer=self.consumer,
        )

    def log(self) -> str:
        """Return the end of what it complained about."""
        return tail(self.folder / "error.log")


class StartMellon(Protocol):
    """Starts an application until the test ends."""

    def __call__(
        self,
        idp_metadata: str,
        *,
        asks_by: str = "HTTP-Redirect",
        port: int | None = None,
    ) -> Mellon:
        """Return the running application; its identity provider has to know it before anybody signs in.

        Args:
            idp_metadata: XML; of its single sign-on services those of `asks_by` are kept.
            asks_by: `HTTP-Redirect` or `HTTP-POST`.
            port: Where its identity provider expects it already.
        """


def registration(application: Mellon) -> dict[str, object]:
    """Return the application as a client of Keycloak's admin API."""
    attributes = {
        "saml.client.signature": "true",
        "saml.signing.certificate": application.keys.certificate,
        "saml.server.signature": "true",
        "saml.assertion.signature": "true",
        "saml.signature.algorithm": "RSA_SHA256",
        "saml.authnstatement": "true",
        "saml.force.post.binding": "true",
        "saml_name_id_format": "username",
        "saml_single_logout_service_url_redirect": f"{application.address}/mellon/logout",
        "saml_assertion_consumer_url_post": application.consumer,
        "saml_idp_initiated_sso_url_name": f"mellon{application.port}",
    }
    return {
        "clientId": application.entity_id,
        "protocol": "saml",
        "redirectUris": [f"{application.address}/*"],
        "attributes": attributes,
    }


@pytest.fixture(scope="session")
def mellon_keys() -> KeyPair:
    """One key for all applications of the run."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mellon")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=10))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = "".join(made.public_bytes(serialization.Encoding.PEM).decode().split("\n")[1:-2])
    return KeyPair(pem.decode(), certificate)


@pytest.fixture
def mellon(mellon_keys: KeyPair, report_version: ReportVersion) -> Iterator[StartMellon]:
    """Call with the identity provider's metadata."""
    apache = program("apache2", "/usr/sbin", package="apache2-bin")
    if not (MODULES / "mod_auth_mellon.so").exists():
        missing("mod_auth_mellon", "apt-get install libapache2-mod-auth-mellon")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(reachable_folder("mellon"))

        def start(
            idp_metadata: str,
            *,
            asks_by: str = "HTTP-Redirect",
            port: int | None = None,
        ) -> Mellon:
            made = Mellon(port or free_port(), mellon_keys, folder)
            _write(made, _asking_by(asks_by, idp_metadata))
            command = [str(apache), "-D", "FOREGROUND", "-f", str(made.folder / "apache.conf")]
            stack.enter_context(running(command, log=made.folder / "log", ready=lambda: answers(made.port)))
            stated = httpx.get(made.address, trust_env=False).headers["server"]
            report_version("apache", stated.removeprefix("Apache/").partition(" ")[0])
            return made

        yield start


def _asking_by(binding: str, idp_metadata: str) -> str:
    def keep(service: re.Match[str]) -> str:
        return service[0] if f'{BINDINGS}{binding}"' in service[0] else ""

    return re.sub(
        r"<(?:md:)?SingleSignOnService\b[^>]*/?>(?:</(?:md:)?SingleSignOnService>)?", keep, idp_metadata
    )


def _write(made: Mellon, idp_metadata: str) -> None:
    pages = made.folder / "pages"
    pages.mkdir(parents=True)
    (pages / "private.html").write_text(PAGE)
    (pages / "index.html").write_text(PAGE)
    (made.folder / "key.pem").write_text(made.keys.key)
    (made.folder / "sp.xml").write_text(made.metadata())
    (made.folder / "idp.xml").write_text(idp_metadata)
    (made.folder / "apache.conf").write_text(
        CONFIGURATION.format(
            folder=made.folder,
            port=made.port,
            # apache refuses to serve as root; what it reads lies in the test's own folder.
            user="User nobody\nGroup nogroup" if os.geteuid() == 0 else "",
            modules="\n".join(_loaded(USED)),
        )
    )


def _loaded(modules: Sequence[str]) -> Iterator[str]:
    for name in modules:
        yield f"LoadModule {name}_module {MODULES}/mod_{name}.so"
