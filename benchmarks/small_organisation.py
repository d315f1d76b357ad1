"""An organisation with one name of each sort, around a gateway: provider, directory and mail server.

`python -m benchmarks.small_organisation FOLDER PUBLIC MAIL` serves until it is ended, in a process of its
own, so that what it does for the gateway takes no time from the load.
"""

import json
import os
import signal
import sys
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from idp_plugin.demo import servers
from idp_plugin.demo.directory import PEOPLE_BASE, utc_now
from idp_plugin.demo.servers import DemoAddresses
from tests.servers.processes import free_port

READY = "organisation.json"
SORTS = {
    "known": "bob",
    "unknown": "kim",
    "locked": "carol",
    "disabled": "dave",
    "unregistered": "alice",
    "out of scope": "heidi",
}
"""The names, by sort; those that are registered are `REGISTERED`."""
REGISTERED = ("bob", "carol", "dave", "heidi")


class _Sink:
    """Takes every message and forgets it."""

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return "250 OK"


def main(folder: Path, public: str, mail: int) -> None:
    """Start everything and say where it is in a file; the mail server too, unless its port is given."""
    sink = Controller(_Sink(), hostname="127.0.0.1", port=mail or free_port())
    if not mail:
        sink.start()
    application = free_port()
    addresses = DemoAddresses(public, f"http://127.0.0.1:{application}")
    with servers.start_at(addresses, folder, application) as around:
        for sort in ("locked", "disabled"):
            credential = around.served.entry(f"uid={SORTS[sort]},{PEOPLE_BASE}").credential
            if credential is None:
                raise LookupError(SORTS[sort])
            credential.is_locked_permanently = sort == "disabled"
            credential.locked_at = utc_now()
        directory = around.directory.model_dump(mode="json")
        directory["bind_password"] = around.directory.bind_password.get_secret_value()
        ready = {
            "provider": around.provider,
            "secret": around.client_secret,
            "directory": directory,
            "mail": sink.port,
            "passwords": dict(around.passwords),
        }
        partial = folder / f"{READY}.partial"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(ready))
        partial.rename(folder / READY)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    if not mail:
        sink.stop()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
