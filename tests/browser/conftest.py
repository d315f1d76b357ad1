"""Sparekey before a real Keycloak, for stories in which somebody registers an authenticator app."""

from collections.abc import Iterator

import pytest

from tests.journeys.keycloak_site import POLICY, Site, open_site
from tests.servers.keycloak import Keycloak
from tests.servers.valkey import Valkey

WITH_AN_APP = POLICY.replace('["email"]', '["email", "totp"]')
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def totp_site(keycloak: Keycloak, valkey_server: Valkey) -> Iterator[Site]:
    """For the run. Use `site`, where nobody has registered."""
    with open_site(keycloak, valkey_server.url, NOBODY) as opened:
        opened.obey(WITH_AN_APP)
        yield opened


@pytest.fixture
def empty_totp_site(totp_site: Site) -> Site:
    """Where nobody has registered, and nobody is signed in."""
    totp_site.begin_anew()
    return totp_site
