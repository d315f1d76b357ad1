"""`sparekey check --network` on a real Keycloak: the ways round the gate that its settings leave open."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from gateway.back_doors import back_doors
from gateway.cli import check
from tests.journeys.keycloak_site import Site
from tests.servers import keycloak as kc


@pytest.fixture
def more_roles(site: Site) -> Iterator[None]:
    """Let our account list clients and read the realm for a while."""
    realm = site.realm
    (management,) = realm.admin("GET", "/clients", params={"clientId": "realm-management"}).json()
    (gateway,) = realm.admin("GET", "/clients", params={"clientId": kc.GATEWAY_CLIENT}).json()
    account = realm.admin("GET", f"/clients/{gateway['id']}/service-account-user").json()["id"]
    path = f"/users/{account}/role-mappings/clients/{management['id']}"
    wanted = {"view-clients", "view-realm"}
    roles = realm.admin("GET", f"{path}/available").json()
    given = [role for role in roles if role["name"] in wanted]
    realm.admin("POST", path, json=given)
    yield
    realm.admin("DELETE", path, json=given)


def found(site: Site) -> dict[str, str]:
    return dict(back_doors(site.sparekey.services.settings))


@pytest.mark.usefixtures("more_roles")
def test_clients_that_take_passwords_are_named(site: Site) -> None:
    told = found(site)["direct grants"]
    assert kc.CONFIDENTIAL_APPLICATION in told
    assert "admin-cli" in told
    assert kc.PUBLIC_APPLICATION + "," not in told


@pytest.mark.usefixtures("more_roles")
def test_keycloaks_own_reset_is_told(site: Site) -> None:
    assert "forgot password" not in found(site)
    realm = site.realm.admin("GET", "").json()
    site.realm.admin("PUT", "", json={**realm, "resetPasswordAllowed": True})
    assert "is on" in found(site)["forgot password"]
    site.realm.admin("PUT", "", json={**realm, "resetPasswordAllowed": False})


def test_the_check_prints_them_and_they_are_no_problems(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "load_or_exit", lambda *_: site.sparekey.services.settings)
    told = CliRunner().invoke(check.command, ["--network", "--json"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    notes = {each["part"]: each["note"] for each in json.loads(told.output) if "note" in each}
    assert "administrators" in notes["other realms"]
    printed = CliRunner().invoke(check.command, ["--network"], catch_exceptions=False).output
    assert "note     other realms: " in printed


def test_what_our_account_may_not_read_is_said_to_be_unknown(site: Site) -> None:
    told = found(site)
    assert "may not list clients" in told["direct grants"]
    assert "may not read" in told["forgot password"]


def test_endpoints_at_another_address_are_named(site: Site) -> None:
    settings = site.sparekey.services.settings
    gateway = settings.gateway.model_copy(update={"public": "http://127.0.0.1:1"})
    told = dict(back_doors(settings.model_copy(update={"gateway": gateway})))
    assert "token_endpoint" in told["routes"]
    assert "routes" not in found(site)


def test_an_address_that_others_may_reach_is_told(site: Site) -> None:
    settings = site.sparekey.services.settings
    idp = settings.idp.model_copy(update={"address": settings.idp.address.replace("127.0.0.1", "0.0.0.0")})
    assert "idp.address" in dict(back_doors(settings.model_copy(update={"idp": idp})))
    assert "idp.address" not in found(site)
