"""The demo's identity provider a second time, with people of its own: where identities are linked."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import make_server

from idp_plugin.demo import servers
from idp_plugin.demo.provider import create_provider
from idp_plugin.demo.provider_memory import DemoClient
from idp_plugin.demo.servers import DemoAddresses, RunningDemo
from idp_plugin.ldap.openldap import OpenLdap
from tests.servers.processes import free_port

CLIENT = "sparekey-elsewhere"
SECRET = "between the two of us"


@dataclass(frozen=True)
class SecondProvider:
    """Where it is, and who can sign in."""

    issuer: str
    people: RunningDemo

    @property
    def settings(self) -> dict[str, str]:
        """One entry of the settings' `identities`."""
        return {"name": "University", "issuer": self.issuer, "client_id": CLIENT, "client_secret": SECRET}


@contextlib.contextmanager
def second_provider(folder: Path, public: str) -> Iterator[SecondProvider]:
    """Start it for a gateway at a public origin."""
    folder.mkdir()
    port, application = free_port(), free_port()
    issuer = f"http://127.0.0.1:{port}"
    addresses = DemoAddresses(issuer, f"http://127.0.0.1:{application}")
    client = DemoClient(CLIENT, SECRET, (f"{public}/sparekey/oidc/identity",), ())
    with servers.start_at(addresses, folder, application) as people:
        provider = create_provider(issuer, [client], OpenLdap(people.directory, issuer))
        server = make_server("127.0.0.1", port, provider, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SecondProvider(issuer, people)
        server.shutdown()
        thread.join(10)
        server.server_close()
