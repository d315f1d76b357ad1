"""An instance of 389-ds, created once per machine with its own `dscreate` and kept as an archive.

Creating one takes a quarter of a minute and needs root; unpacking one takes a tenth of a second. Whoever
comes while it is being created waits at the lock.
"""

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers import presence

CACHE = Path(__file__).parents[2] / ".cache/ds389"
NAME = "template"
SUFFIX = "dc=example,dc=org"
ROOT_DN = "cn=Directory Manager"
ROOT_PASSWORD = "Dirman-Secret-1"  # it never listens on anything but loopback
STOP_SECONDS = 60

_TOOL = Path(__file__).with_name("dscreate_without_systemd.py")
# Isolated: with this folder on its path, lib389 would import our `ldif` for the one of python-ldap.
_PYTHON = ("/usr/bin/python3", "-I")
_ANSWERS = """\
[general]
full_machine_name = localhost
strict_host_checking = False
start = True
systemd = False
[slapd]
instance_name = {NAME}
user = dirsrv
group = dirsrv
root_dn = {ROOT_DN}
root_password = {ROOT_PASSWORD}
port = 4389
secure_port = 4636
self_sign_cert = True
[backend-userroot]
suffix = {SUFFIX}
create_suffix_entry = True
sample_entries = no
"""


def archive() -> Path:
    """Return the archive of an instance that never ran for anybody, creating it where it is missing."""
    server = presence.program("ns-slapd", "/usr/sbin", package="389-ds-base")
    if os.geteuid() != 0:
        presence.missing("389-ds", "its instances are created by root")
    # A new package is a new file: what an instance needs changes between versions.
    kept = CACHE / f"{server.stat().st_mtime_ns}.tar.gz"
    with _locked():
        if not kept.exists():
            _create(kept)
    return kept


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(kept: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "instance.inf"
        answers.write_text(_ANSWERS.format_map(globals()))
        # A network of its own: a new instance listens on every address until it is told otherwise.
        alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        _run(*alone, *_PYTHON, str(_TOOL), "dscreate", "from-file", str(answers))
    try:
        _stop(int(Path(f"/run/dirsrv/slapd-{NAME}.pid").read_text()))
        unfinished = kept.with_suffix(".unfinished")
        parts = (f"etc/dirsrv/slapd-{NAME}", f"var/lib/dirsrv/slapd-{NAME}")
        _run("tar", "--create", "--gzip", "--file", str(unfinished), "--directory", "/", *parts)
        unfinished.rename(kept)
    finally:
        _run(*_PYTHON, str(_TOOL), "dsctl", NAME, "remove", "--do-it")


def _stop(process: int) -> None:
    os.kill(process, 15)
    deadline = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{process}").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"389-ds did not stop in {STOP_SECONDS} s")
        time.sleep(0.1)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr).decode(errors='replace')[-2000:]}")
