"""canaille from PyPI: Flask under gunicorn, people and passwords in its own SQLite file."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import TESTED_CORE, Service, service
from benchmarks.others import ENVIRONMENT
from tests.servers.processes import answers, free_port

CONFIGURATION = """\
SECRET_KEY = "{key}"
TRUSTED_HOSTS = ["127.0.0.1:{port}"]
[CANAILLE]
DATABASE = "sql"
ENABLE_REGISTRATION = false
[CANAILLE.SMTP]
HOST = "127.0.0.1"
PORT = {mail}
FROM_ADDR = "canaille@example.org"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{folder}/canaille.db"
"""


@contextlib.contextmanager
def canaille(folder: Path, mail: int) -> Iterator[Service]:
    """Start it with one person, `bob`, whose address is `bob@example.org`."""
    folder.mkdir()
    port = free_port()
    file = folder / "canaille.toml"
    file.write_text(CONFIGURATION.format(key=secrets.token_hex(16), port=port, mail=mail, folder=folder))
    environment = {"CANAILLE_CONFIG": str(file)}
    person = ("--user-name", "bob", "--emails", "bob@example.org", "--family-name", "B")
    named = (*person, "--formatted-name", "Bob B", "--password", secrets.token_urlsafe(16))
    for words in (("install",), ("create", "user", *named)):
        ran = subprocess.run(
            [ENVIRONMENT / "canaille", *words], env=environment, cwd=folder, capture_output=True, check=False
        )
        ran.check_returncode()
    with service(
        "canaille",
        [
            ENVIRONMENT / "gunicorn",
            "-w",
            "1",
            "--threads",
            "4",
            "-b",
            f"127.0.0.1:{port}",
            "canaille:create_app()",
        ],
        port=port,
        core=TESTED_CORE,
        log=folder / "canaille.log",
        ready=lambda: answers(port),
        environment=environment,
    ) as running:
        yield running
