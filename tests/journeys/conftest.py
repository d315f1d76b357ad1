"""One world per module, emptied for every test; or a world of one's own, with other settings."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.world import World, open_world


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
