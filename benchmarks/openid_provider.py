"""The demo's provider for one application alone, with nothing in front of it.

`python -m benchmarks.openid_provider FOLDER APPLICATION` serves until it is ended; `CLIENT_SECRET` is in the
environment.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from werkzeug.serving import make_server

from idp_plugin.demo import servers
from idp_plugin.demo.provider import create_provider
from idp_plugin.demo.provider_memory import DemoClient
from idp_plugin.ldap.openldap import OpenLdap
from tests.servers.processes import free_port

CLIENT = "application"


def main(folder: Path, application: str, secret: str) -> None:
    """Start a directory with the demo's people, and a provider over it."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    client = DemoClient(CLIENT, secret, (f"{application}/callback",))
    private = folder / "directory"
    private.mkdir(mode=0o700)
    addresses = servers.DemoAddresses(issuer, f"http://127.0.0.1:{free_port()}")
    with servers.start_at(addresses, private, free_port()) as around:
        provider = create_provider(issuer, [client], OpenLdap(around.directory, issuer))
        server = make_server("127.0.0.1", port, provider, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = {"issuer": issuer, "client": CLIENT, "passwords": dict(around.passwords)}
        partial = folder / "provider.json.partial"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(told))
        partial.rename(folder / "provider.json")
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], os.environ["CLIENT_SECRET"])
