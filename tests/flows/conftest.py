"""Fixtures for the journeys."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.world import World, close_world, open_world
from tests.servers.valkey import Valkey

OpenWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path, valkey: Valkey) -> Iterator[OpenWorld]:
    """Open a world with limits or a policy of its own."""
    with contextlib.ExitStack() as stack:

        def make(**how: object) -> World:
            world = open_world(tmp_path, valkey.url, **how)
            stack.callback(close_world, world)
            return world

        yield make


@pytest.fixture
def world(make_world: OpenWorld) -> World:
    """One e-mail proof resets; a first binding waits 24 hours."""
    return make_world()
