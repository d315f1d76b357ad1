"""A relying party on the npm package `openid-client`, which shares no code with ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.npm_package import installed
from tests.servers.presence import program
from tests.servers.processes import answers, free_port, running

SOURCE = Path(__file__).parent / "openid_client"


@dataclass(frozen=True, slots=True)
class OpenidClient:
    """One that runs."""

    address: str
    """Also where the identity provider finds `/jwks` and `/request/…`."""
    http: httpx.Client = field(repr=False)

    def begin(self, client: Mapping[str, str], flow: str, send: str, **parameters: str) -> tuple[str, str]:
        """Begin a sign-in; return its id and where the browser goes.

        Args:
            client: `issuer`, `client_id`, `client_secret`, `redirect_uri`.
            flow: `code`, `jarm`, `hybrid` or `implicit`.
            send: `plain`, `pushed`, `by_value` or `by_reference`.
        """
        begun = self._ask("/begin", {**client, "flow": flow, "send": send, "parameters": parameters})
        return begun["id"], begun["url"]

    def finish(self, begun: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Verify an answer and redeem it; return `claims` and `tokens`, or why it was `refused`."""
        return self._ask("/finish", {"id": begun, "url": url, "form": form})

    def grant(self, client: Mapping[str, str], grant_type: str, **parameters: str) -> dict[str, Any]:
        """Make a token request; return `claims` and `tokens`, or why it was `refused`."""
        return self._ask("/grant", {**client, "grant_type": grant_type, "parameters": parameters})

    def device(self, client: Mapping[str, str], **parameters: str) -> dict[str, Any]:
        """Begin a sign-in of a device."""
        return self._ask("/device", {**client, "parameters": parameters})

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.http.post(self.address + path, json=body).raise_for_status().json()


@pytest.fixture(scope="session")
def openid_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenidClient]:
    """One for the run."""
    folder, port = installed(SOURCE), free_port()
    command = [program("node", package="nodejs"), folder / "relying_party.mjs", str(port)]
    log = tmp_path_factory.mktemp("openid-client") / "log"
    with (
        running(command, log=log, ready=lambda: answers(port)),
        httpx.Client(trust_env=False, timeout=60) as http,
    ):
        yield OpenidClient(f"http://127.0.0.1:{port}", http)
