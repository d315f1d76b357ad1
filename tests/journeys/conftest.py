"""One world per module, emptied for every test; or a world of one's own, with other settings."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.keycloak_site import Site, open_site
from tests.journeys.world import World, open_world
from tests.servers.keycloak import Keycloak
from tests.servers.openid_client import OpenidClient
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor


@contextlib.contextmanager
def opened(**options: object) -> Iterator[World]:
    # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-world-"))
    try:
        with open_world(folder, **options) as world:
            yield world
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    """A world as shipped, but for cheap work. Use `world`, which is emptied."""
    with opened() as world:
        yield world


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.begin_anew()
    return shared_world


@pytest.fixture
def open_a_world() -> Iterator[Callable[..., World]]:
    """Opens worlds with settings of their own, for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(opened(**options))


@pytest.fixture(scope="session")
def keycloak_site(keycloak: Keycloak, valkey_server: Valkey, openid_client: OpenidClient) -> Iterator[Site]:
    """Sparekey before Keycloak, for the run. Use `site`, where nobody has registered."""
    with open_site(keycloak, valkey_server.url, openid_client.address) as opened:
        yield opened


@pytest.fixture
def site(keycloak_site: Site) -> Iterator[Site]:
    keycloak_site.begin_anew()
    with keycloak_site.as_shipped():
        yield keycloak_site


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()
