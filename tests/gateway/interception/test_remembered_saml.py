"""SAML requests among the remembered ones: found by their answers alone, and never read as anything else."""

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.interception.remembered import RememberedRequests
from gateway.interception.saml_request import read_saml_request
from store.expiring import Expiring
from store.vault import Vault
from tests.gateway.interception.test_saml_request import (
    ARTIFACT,
    OTHER,
    PATH,
    SP,
    answered,
    by_redirect,
    document,
)
from tests.servers.valkey import Valkey


@pytest.fixture
def expiring(valkey: Valkey) -> Iterator[Expiring]:
    expiring = Expiring(valkey.url, Vault([secrets.token_bytes(32)]))
    yield expiring
    expiring.close()


def remembering(expiring: Expiring, *targets: bytes) -> tuple[RememberedRequests, RememberedRequests]:
    """Return the gateway that remembers, and another one."""
    with ThreadPoolExecutor(1) as executor:
        here, there = RememberedRequests(expiring, executor), RememberedRequests(expiring, executor)

        async def run() -> None:
            for target in targets:
                request = read_saml_request(target)
                assert request
                here.remember("browser", request.target)
            await here.close()

        asyncio.run(run())
    return here, there


def test_a_request_is_found_by_its_answer_here_and_elsewhere(expiring: Expiring) -> None:
    for each in remembering(expiring, by_redirect(document("_1")), by_redirect(document("_2"))):
        found = each.matching_saml("browser", answered("_1", SP))
        assert found
        assert found.id == "_1"
        assert each.matching_saml("browser", answered("_3", SP)) is None
        assert each.matching_saml("another", answered("_1", SP)) is None


def test_two_relying_parties_under_one_id_are_told_apart_by_the_answer_or_not_at_all(
    expiring: Expiring,
) -> None:
    here, _ = remembering(expiring, by_redirect(document("_1")), by_redirect(document("_1", OTHER)))
    found = here.matching_saml("browser", answered("_1", SP))
    assert found
    assert found.client_id == SP
    assert here.matching_saml("browser", answered("_1")) is None
    assert here.matching_saml("browser", ARTIFACT) is None


def test_two_places_where_sign_ins_begin_unasked_are_ambiguous(expiring: Expiring) -> None:
    here, _ = remembering(expiring, PATH + b"/clients/one", PATH + b"/clients/one")
    assert here.matching_saml("browser", answered("", SP))
    here, _ = remembering(expiring, PATH + b"/clients/one", PATH + b"/clients/two")
    assert here.matching_saml("browser", answered("", SP)) is None


def test_what_began_by_saml_is_no_openid_request_whatever_its_query_says(expiring: Expiring) -> None:
    query = b"client_id=lenient&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb&state=s&x=y"
    for each in remembering(expiring, PATH + b"/clients/sp?" + query):
        assert each.matching("browser", "https://app.example.org/cb", "s") is None
        assert each.matching_saml("browser", answered("", SP, relay_state=""))
