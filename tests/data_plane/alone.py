"""A native plane before a provider, with no gateway anywhere."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.data_plane.fake_keycloak import AUTHORIZATION, REALM, FakeKeycloak
from tests.data_plane.site import CALLBACK, POLICY
from tests.servers.certificates import Authority
from tests.servers.processes import free_port
from tests.servers.settings_file import unused_directory, write_settings


@dataclass
class Alone:
    """What runs."""

    public: str
    keycloak: FakeKeycloak
    client: httpx.Client

    def address(self, **wishes: str) -> str:
        """Return where an application sends a browser."""
        asked = {"client_id": "a", "response_type": "code", "redirect_uri": CALLBACK, "state": "x", **wishes}
        return f"{self.public}{AUTHORIZATION}?{httpx.QueryParams(asked)}"

    def is_given_up(self) -> bool:
        """Tell whether the gateway counts as gone."""
        return self.client.get(f"{self.public}{REALM}/account").status_code == 200


def settings_alone(folder: Path, keycloak: FakeKeycloak) -> Path:
    """Write settings of a gateway that nobody starts."""
    return write_settings(
        folder,
        POLICY.format(on_fault="deny"),
        gateway={
            "public": keycloak.public,
            "listen": f"127.0.0.1:{free_port()}",
            "operations": "",
            "data_plane_socket": str(folder / "edge.sock"),
            "trusted_proxies": ["127.0.0.1"],
        },
        idp={
            "kind": "keycloak",
            "address": keycloak.address,
            "issuer": keycloak.issuer,
            "client_secret": "not asked here",
        },
        directories=[unused_directory(Authority.new(folder).file, 1)],
        messages={"mail": {"host": "127.0.0.1", "port": 1, "tls": "none"}},
    )
