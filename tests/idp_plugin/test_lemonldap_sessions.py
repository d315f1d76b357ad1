"""Ending somebody's sessions at LemonLDAP::NG, as Debian has it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from idp_plugin.base import Subject
from idp_plugin.errors import IdpMisconfigured, IdpUnavailable
from idp_plugin.lemonldap_sessions import LemonldapSessions
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.settings import IdpSettings
from tests.servers import lemonldap
from tests.servers.lemonldap import KEY, PERSON, Lemonldap
from tests.servers.processes import free_port

OTHER = "rtyler"


@pytest.fixture(scope="module")
def portal(lemonldap_here: None) -> Iterator[Lemonldap]:
    del lemonldap_here
    with lemonldap.serving(f"http://127.0.0.1:{free_port()}") as running:
        yield running


@pytest.fixture
def opened(portal: Lemonldap) -> Iterator[Any]:
    providers = []

    def open_(**changes: Any) -> LemonldapSessions:
        values = {
            "kind": "lemonldap",
            "address": portal.address,
            "issuer": portal.public,
            "client_secret": lemonldap.SECRET,
            "sessions_path": "/sessions",
            "sessions_key": KEY,
        }
        providers.append(OidcProvider(IdpSettings.model_validate(values | changes), public=portal.public))
        return LemonldapSessions(providers[-1])

    yield open_
    for provider in providers:
        provider.close()


def sign_in(portal: Lemonldap, name: str) -> str:
    """Sign somebody in to the portal; return the session's number."""
    typed = {"user": name, "password": name}
    answer = httpx.post(f"{portal.address}/", data=typed, headers=stated(portal))
    assert answer.json()["result"] == 1, answer.text
    return str(answer.json()["id"])


def stated(portal: Lemonldap) -> dict[str, str]:
    return {"Host": portal.public.partition("//")[2], "Accept": "application/json"}


def is_signed_in(portal: Lemonldap, session: str) -> bool:
    cookie = {"Cookie": f"lemonldap={session}"}
    answer = httpx.get(f"{portal.address}/mysession/?whoami", headers={**stated(portal), **cookie})
    return answer.status_code == 200


def test_every_session_of_a_person_ends_and_nobody_elses(portal: Lemonldap, opened: Any) -> None:
    mine, also_mine, hers = (sign_in(portal, name) for name in (PERSON, PERSON, OTHER))
    assert all(is_signed_in(portal, each) for each in (mine, also_mine, hers))
    assert opened().end_all(Subject(portal.public, PERSON)) == 0
    assert [is_signed_in(portal, each) for each in (mine, also_mine, hers)] == [False, False, True]


def test_an_attribute_that_no_session_has_is_found_by_the_check(portal: Lemonldap, opened: Any) -> None:
    sign_in(portal, OTHER)
    opened().self_check()
    with pytest.raises(IdpMisconfigured, match="sessions_attribute"):
        opened(sessions_attribute="employeeNumber").self_check()


def test_somebody_without_a_session_has_none(opened: Any) -> None:
    assert opened().end_all(Subject("", "sparekey-check-nobody")) == 0


def test_a_portal_that_does_not_believe_the_key_says_so(portal: Lemonldap, opened: Any) -> None:
    session = sign_in(portal, PERSON)
    with pytest.raises(IdpMisconfigured):
        opened(sessions_key="another").end_all(Subject(portal.public, PERSON))
    assert is_signed_in(portal, session)


def test_a_portal_without_that_server_says_so(opened: Any) -> None:
    with pytest.raises((IdpMisconfigured, IdpUnavailable)):
        opened(sessions_path="/nothing").end_all(Subject("", PERSON))


def test_path_and_key_are_named_together(opened: Any) -> None:
    for lacking in ({"sessions_key": ""}, {"sessions_path": ""}, {"sessions_path": "sessions"}):
        with pytest.raises(ValidationError):
            opened(**lacking)
