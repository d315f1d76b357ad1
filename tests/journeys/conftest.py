"""A world per test: started once per module, emptied in between, except for passwords in the directory."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.world import World, WorldFactory, open_world


@pytest.fixture
def open_a_world() -> Iterator[WorldFactory]:
    """Opens worlds that last for one test."""
    with contextlib.ExitStack() as stack:

        def opened(**options: object) -> World:
            # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
            folder = Path(tempfile.mkdtemp(prefix="sparekey-world-"))
            stack.callback(shutil.rmtree, folder)
            return stack.enter_context(open_world(folder, **options))

        yield opened


@pytest.fixture
def world(open_a_world: WorldFactory) -> World:
    """A world as shipped, but for cheap work."""
    return open_a_world()
