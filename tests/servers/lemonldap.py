"""LemonLDAP::NG as Debian has it: a portal that signs people in by OpenID Connect, SAML and CAS.

Its people are those of its demonstration mode; nginx stands in front, as its manual asks.
"""

import contextlib
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.lemonldap_portal import lay_out, nginx_command, portal_command, portal_environment, stored
from tests.servers.presence import missing, program
from tests.servers.processes import answers, free_port, running
from tests.servers.versions import ReportVersion

CLIENT = "sparekey"
SECRET = "gateway-secret"
"""Of letters and lines: the portal takes it as it comes, not form-encoded (RFC 6749 section 2.3.1)."""
KEY = secrets.token_hex(16)
"""What the portal encrypts with."""
PERSON = "dwho"
"""Also the password."""
NEEDED = (
    "Lemonldap::NG::Portal",
    "Crypt::OpenSSL::Bignum",
    "GD::SecurityImage",
    "Lasso",
    "String::Random",
    "XML::LibXML",
    "XML::Simple",
)


@dataclass(frozen=True, slots=True)
class Lemonldap:
    """A running portal."""

    address: str
    """Where the gateway reaches it."""
    public: str
    """The origin that it takes for its own, and its issuer."""


@contextlib.contextmanager
def serving(public: str, *, service_metadata: str = "") -> Iterator[Lemonldap]:
    """Start a portal for one public origin.

    Args:
        service_metadata: Of the one SAML application that it knows.
    """
    with tempfile.TemporaryDirectory(prefix="sparekey-lemonldap-") as made:
        folder, port = Path(made), free_port()
        lay_out(folder, _configuration(folder, public, service_metadata), port)
        portal = program("llng-fastcgi-server", "/usr/sbin", package="lemonldap-ng-fastcgi-server")
        nginx = program("nginx", "/usr/sbin", package="nginx-light")
        with (
            running(
                portal_command(portal, folder, processes=1),
                log=folder / "portal.log",
                ready=(folder / "socket").exists,
                environment=portal_environment(folder),
            ),
            running(nginx_command(nginx, folder), log=folder / "nginx.log", ready=lambda: answers(port)),
        ):
            yield Lemonldap(f"http://127.0.0.1:{port}", public)


def _configuration(folder: Path, public: str, service_metadata: str) -> dict[str, object]:
    private, public_key = _key_pair()
    return {
        "cfgNum": 1,
        "cfgVersion": "2.16.1",
        "cfgAuthor": "test",
        "cfgDate": "1627287638",
        "domain": "127.0.0.1",
        "cookieName": "lemonldap",
        "securedCookie": 0,
        "key": KEY,
        "portal": f"{public}/",
        "authentication": "Demo",
        "userDB": "Same",
        "passwordDB": "Demo",
        "registerDB": "Null",
        "exportedVars": {},
        "demoExportedVars": {"uid": "uid", "cn": "cn", "mail": "mail"},
        **stored(folder),
        "locationRules": {"127.0.0.1": {"default": "accept"}},
        "exportedHeaders": {},
        "whatToTrace": "uid",
        "requireToken": 0,
        "portalDisplayResetPassword": 0,
        "portalDisplayRegister": 0,
        "issuerDBOpenIDConnectActivation": 1,
        "issuerDBOpenIDConnectPath": "^/oauth2/",
        "oidcServiceMetaDataIssuer": public,
        "oidcServicePrivateKeySig": private,
        "oidcServicePublicKeySig": public_key,
        "oidcServiceKeyIdSig": "key",
        "oidcServiceAllowAuthorizationCodeFlow": 1,
        "oidcRPMetaDataOptions": {
            "gateway": _relying_party(CLIENT, SECRET, f"{public}/sparekey/oidc/callback"),
            "application": _relying_party("application", "a secret", "http://127.0.0.1/callback"),
        },
        "oidcRPMetaDataExportedVars": {"gateway": {"preferred_username": "uid"}, "application": {}},
        "restSessionServer": 1,
        "issuerDBCASActivation": 1,
        "issuerDBCASPath": "^/cas/",
        "casAccessControlPolicy": "none",
        "issuerDBSAMLActivation": 1,
        "issuerDBSAMLPath": "^/saml/",
        "samlEntityID": f"{public}/saml/metadata",
        "samlServicePrivateKeySig": private,
        "samlServicePublicKeySig": public_key,
        **_service_provider(service_metadata),
    }


def _relying_party(client: str, secret: str, redirect: str) -> dict[str, object]:
    return {
        "oidcRPMetaDataOptionsClientID": client,
        "oidcRPMetaDataOptionsClientSecret": secret,
        "oidcRPMetaDataOptionsRedirectUris": redirect,
        "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256",
        "oidcRPMetaDataOptionsBypassConsent": 1,
    }


def _service_provider(metadata: str) -> dict[str, object]:
    if not metadata:
        return {}
    options = {
        "samlSPMetaDataOptionsNameIDFormat": "unspecified",
        "samlSPMetaDataOptionsNameIDSessionKey": "uid",
        "samlSPMetaDataOptionsSignSSOMessage": 1,
        "samlSPMetaDataOptionsCheckSSOMessageSignature": 1,
        "samlSPMetaDataOptionsNotOnOrAfterTimeout": 72_000,
        "samlSPMetaDataOptionsSessionNotOnOrAfterTimeout": 72_000,
    }
    return {
        "samlSPMetaDataXML": {"mellon": {"samlSPMetaDataXML": metadata}},
        "samlSPMetaDataOptions": {"mellon": options},
        "samlSPMetaDataExportedAttributes": {"mellon": {"uid": "0;uid"}},
    }


def _key_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


@pytest.fixture(scope="session")
def lemonldap_here(report_version: ReportVersion) -> None:
    """Skip where the portal, or what its SAML needs, is not on this machine."""
    for module in NEEDED:
        found = subprocess.run(["perl", f"-M{module}", "-e", "1"], check=False, capture_output=True)
        if found.returncode:
            missing(f"Perl's {module}", "`make test` installs it for root")
    asked = ["perl", "-MLemonldap::NG::Portal", "-e", "print $Lemonldap::NG::Portal::VERSION"]
    report_version("LemonLDAP::NG", subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
