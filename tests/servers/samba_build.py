"""A domain made ready once per machine: provisioned, with the service account that the deployment page makes.

`python -m tests.servers.samba_build` does it ahead of the tests (some seconds); whoever comes meanwhile waits
at the lock. What is kept is an archive of a megabyte or two, good for any folder and address.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deploy/active-directory.md"
CACHE = ROOT / ".cache/samba"
BINARIES = ("/usr/sbin", "/usr/local/sbin")

REALM = "example.test"
DOMAIN = "DC=example,DC=test"
PEOPLE = f"OU=People,{DOMAIN}"
ADMINISTRATOR = "administrator@example.test"
ADMINISTRATOR_PASSWORD = "Adm1n-Passw0rd!"
SERVICE = "svc-sparekey"
SERVICE_PASSWORD = "Svc-Secret-Passw0rd1"

CONFIGURATION = """\
[global]
    netbios name = DC1
    realm = EXAMPLE.TEST
    workgroup = EXAMPLE
    server role = active directory domain controller
    server services = ldap
    dcerpc endpoint servers = -dnsserver
    interfaces = {address}/8
    bind interfaces only = yes
    disable netbios = yes
    private dir = {folder}/private
    state directory = {folder}/state
    cache directory = {folder}/cache
    lock directory = {folder}
    binddns dir = {folder}/bind-dns
    pid directory = {folder}/run
    ncalrpc dir = {folder}/ncalrpc
    winbindd socket directory = {folder}/winbindd
    ntp signd socket directory = {folder}/ntp_signd
    log file = {folder}/log/log.%m
    logging = file
    log level = 0
    tls enabled = yes
    tls certfile = {certificate}
    tls keyfile = {key}
    tls cafile = {authority}
    ldap server require strong auth = {strong}
    old password allowed period = {old_password_minutes}
    usershare path =
    load printers = no
    printing = bsd
    printcap name = /dev/null
    ldb:nosync = yes
"""


class NotAvailableError(Exception):
    """Something that is needed to make a domain is missing."""


def build() -> Path:
    """Return the archive of a domain, made first if need be.

    Raises:
        NotAvailableError: No Samba, or not root.
    """
    parts = [Path(__file__).read_text("utf-8"), *delegation()]
    recipe = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]
    archive = CACHE / f"{version()}-{recipe}.tar.gz"
    if os.geteuid() != 0:
        raise NotAvailableError("only root may provision a domain and listen on its ports")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _make(archive)
    return archive


def version() -> str:
    """Return Samba's version, as the package calls it.

    Raises:
        NotAvailableError: There is none.
    """
    said = subprocess.run([program("samba"), "--version"], check=True, capture_output=True, text=True)
    return said.stdout.split()[-1]


def program(name: str) -> str:
    """Find one of Samba's programs.

    Raises:
        NotAvailableError: It is not here.
    """
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *BINARIES]))
    if found is None:
        raise NotAvailableError(f"there is no {name}: apt-get install samba samba-ad-provision ldb-tools")
    return found


def _make(archive: Path) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sparekey-samba-") as name:
        folder = Path(name)
        _provision(folder)
        _prepare(folder)
        partial = archive.with_suffix(".partial")
        kept = ("private", "state")
        subprocess.run(
            ["tar", "-C", folder, "--sparse", "-czf", partial, *kept], check=True, stderr=subprocess.DEVNULL
        )
    for outdated in CACHE.glob("*.tar.gz"):
        outdated.unlink()
    partial.rename(archive)
    sys.stderr.write(f"Samba: a domain was made in {time.monotonic() - began:.1f} s\n")


def _provision(folder: Path) -> None:
    (folder / "etc").mkdir()
    # Empty: otherwise the machine's own configuration is merged into it.
    (folder / "etc/smb.conf").write_text("")
    run(
        folder,
        *("samba-tool", "domain", "provision", f"--configfile={folder}/etc/smb.conf"),
        *(f"--targetdir={folder}", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE", "--server-role=dc"),
        *("--dns-backend=NONE", f"--adminpass={ADMINISTRATOR_PASSWORD}", "--host-ip=127.0.0.1"),
        *("--host-name=dc1", "--option=ldb:nosync=true"),
    )


def configure(folder: Path, **values: object) -> None:
    """Write the configuration for a folder and an address."""
    for name in ("etc", "cache", "run", "ncalrpc", "log"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "etc/smb.conf").write_text(CONFIGURATION.format(folder=folder, **values))


def _prepare(folder: Path) -> None:
    """Make the place for people, and the service account as the deployment page says."""
    configure(
        folder,
        address="127.0.0.1",
        certificate="",
        key="",
        authority="",
        old_password_minutes=0,
        strong="yes",
    )
    run(folder, "samba-tool", "ou", "create", PEOPLE)
    run(folder, "samba-tool", "user", "setexpiry", "Administrator", "--noexpiry")
    for script in delegation():
        run(folder, "sh", "-euc", script)
    run(folder, "samba-tool", "user", "setpassword", SERVICE, f"--newpassword={SERVICE_PASSWORD}")


def delegation() -> list[str]:
    """Return the page's shell blocks: they are what is tested."""
    return re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def run(folder: Path, *command: str | Path, given: str = "") -> str:
    """Run one of Samba's tools on a domain's own files, and return what it printed.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    done = subprocess.run(
        [str(word) for word in command],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SMB_CONF_PATH": str(folder / "etc/smb.conf")},
    )
    if done.returncode:
        raise RuntimeError(f"{command[:4]}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    build()
