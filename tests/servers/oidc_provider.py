"""An OpenID provider that nobody here wrote: npm's `oidc-provider`, with the pages it brings to try it."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.npm_package import installed
from tests.servers.presence import program
from tests.servers.processes import answers, free_port, running
from tests.servers.versions import ReportVersion

SOURCE = Path(__file__).parent / "oidc_provider"
CLIENT = "sparekey"
COOKIES = ("_session", "_session.sig")
"""Of its sessions: the second signs the first."""


@dataclass(frozen=True, slots=True)
class OidcProviderRunning:
    """One that runs."""

    address: str
    """Where the gateway reaches it."""
    public: str
    """The origin that it takes for its own, and its issuer."""
    secret: str
    """Of the gateway's client."""


@pytest.fixture(scope="session")
def oidc_provider_program(report_version: ReportVersion) -> Path:
    """The program beside its packages."""
    folder = installed(SOURCE)
    package = json.loads((folder / "node_modules/oidc-provider/package.json").read_text())
    report_version("oidc-provider", package["version"])
    return folder / "provider.mjs"


@contextlib.contextmanager
def serving(written: Path, public: str, folder: Path) -> Iterator[OidcProviderRunning]:
    """Start one for a public origin; it keeps everything in memory."""
    node, port, secret = program("node", package="nodejs"), free_port(), secrets.token_hex(8)
    command = [node, written, str(port), public, secret]
    with running(command, log=folder / "oidc-provider.log", ready=lambda: answers(port)):
        yield OidcProviderRunning(f"http://127.0.0.1:{port}", public, f"{secret}-{CLIENT}")
