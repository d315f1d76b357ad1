"""nginx with Debian's Lua module, started with a configuration that is complete already."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.presence import missing, program
from tests.servers.processes import answers, running

MODULE = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


@contextlib.contextmanager
def serving(configuration: str, folder: Path, port: int) -> Iterator[None]:
    """Run nginx for the length of the `with` block.

    Args:
        configuration: Keeps everything that is written in `folder`, and listens at `port` on loopback.
    """
    if not MODULE.exists():
        missing("nginx's Lua module", "apt-get install libnginx-mod-http-lua (`make test` does it for root)")
    with started(program("nginx", "/usr/sbin", package="nginx-light"), configuration, folder, port):
        yield


@contextlib.contextmanager
def started(binary: Path, configuration: str, folder: Path, port: int) -> Iterator[None]:
    """Run any nginx for the length of the `with` block."""
    file = folder / "nginx.conf"
    file.write_text(configuration, "utf-8")
    command: list[str | Path] = [
        binary,
        "-p",
        folder,
        "-e",
        folder / "error.log",
        "-c",
        file,
        "-g",
        "daemon off;",
    ]
    with running(command, log=folder / "log", ready=lambda: answers(port)):
        yield
