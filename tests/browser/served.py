"""A world of the journeys on a real port of `localhost`: browsers make no passkeys for bare addresses."""

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.journeys.world import World, open_world


@contextlib.contextmanager
def served(**options: object) -> Iterator[World]:
    """Open a world, and its gateway for browsers."""
    # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-served-"))
    try:
        with open_world(folder, host="localhost", **options) as world, _listening(world):
            yield world
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _listening(world: World) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    settings = world.sparekey.services.settings.gateway
    assert settings.listen.endswith(f":{urlsplit(world.public).port}")
    asyncio.run_coroutine_threadsafe(world.sparekey.start(log_descriptor=None), loop).result(20)
    yield
    asyncio.run_coroutine_threadsafe(world.sparekey.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
