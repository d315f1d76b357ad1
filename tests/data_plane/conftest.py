"""One site for each data plane."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_plane.guarded_site import GuardedSite, guarded_site
from tests.data_plane.site import Plane, Site, site


@contextlib.contextmanager
def _short_folder() -> Iterator[Path]:
    # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-site-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with _short_folder() as folder:
        yield folder


def _running(plane: Plane) -> Iterator[Site]:
    with _short_folder() as folder, site(plane, folder) as started:
        yield started


@pytest.fixture(scope="session")
def nginx_site() -> Iterator[Site]:
    """The site behind nginx, with HTTPS; shared, so every test uses names of its own."""
    yield from _running("nginx")


@pytest.fixture(scope="session")
def njs_site() -> Iterator[Site]:
    """The site behind an nginx with njs, with HTTPS; shared."""
    yield from _running("njs")


@pytest.fixture(scope="session")
def envoy_site() -> Iterator[Site]:
    """The site behind Envoy, with HTTPS; shared."""
    yield from _running("envoy")


@pytest.fixture(scope="session")
def embedded_site() -> Iterator[Site]:
    """The site behind the embedded plane; shared."""
    yield from _running("embedded")


@pytest.fixture(scope="module")
def guard() -> Iterator[GuardedSite]:
    """Applications behind nginx; every test uses people of its own."""
    with _short_folder() as folder, guarded_site(folder) as started:
        yield started


@pytest.fixture(params=["embedded", "nginx", "njs", "envoy"])
def any_site(request: pytest.FixtureRequest) -> Site:
    """Each plane in turn: one suite for all."""
    started: Site = request.getfixturevalue(f"{request.param}_site")
    started.keycloak.planted.clear()
    return started


@pytest.fixture(params=["nginx", "njs", "envoy"])
def native_site(request: pytest.FixtureRequest) -> Site:
    """Each native plane in turn."""
    started: Site = request.getfixturevalue(f"{request.param}_site")
    started.keycloak.planted.clear()
    return started
