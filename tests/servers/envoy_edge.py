"""PyPI's Envoy, started with a configuration that is complete already."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.forward_auth_proxies import installed
from tests.servers.processes import answers, running

WORKERS = "2"


@contextlib.contextmanager
def serving(configuration: str, folder: Path, port: int) -> Iterator[None]:
    """Run Envoy for the length of the `with` block.

    Args:
        configuration: Keeps everything that is written in `folder`, and listens at `port` on loopback.
    """
    file = folder / "envoy.yaml"
    file.write_text(configuration, "utf-8")
    command: list[str | Path] = [
        *(installed("envoy"), "-c", file, "--concurrency", WORKERS, "--disable-hot-restart"),
        *("--log-level", "warning", "--file-flush-interval-msec", "500"),
    ]
    with running(command, log=folder / "log", ready=lambda: answers(port), seconds=30):
        yield
