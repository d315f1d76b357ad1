"""Keycloak made ready once per machine: fetched, built, its database filled, its classes archived.

`python -m tests.servers.keycloak_build` does it ahead of the tests (over a minute); whoever comes meanwhile
waits at the lock. A ready one starts in a third of the time of a fresh one.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import free_port, running

VERSION = "26.4.5"
COORDINATES = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
SHA256 = "72f73642a2c36de797d51b4b2b342d4a49f6e5832af10aa470cd123627bd80b3"
ADMINISTRATOR = "admin"
PASSWORD = "admin"  # it never listens on anything but loopback

SERIAL = "-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""For a quick start; G1 has to be switched off by name, because kc.sh switches it on."""
HEAP = "-Xms32m -Xmx320m"

CACHE = Path(__file__).parents[2] / ".cache/keycloak"
START_SECONDS = 180


class NotAvailableError(Exception):
    """Something that is needed to build Keycloak is missing."""


@dataclass(frozen=True, slots=True)
class Build:
    """A Keycloak that is ready to start."""

    folder: Path
    """Holds everything below."""

    @property
    def home(self) -> Path:
        """The unpacked distribution, built."""
        return self.folder / f"keycloak-{VERSION}"

    @property
    def database(self) -> Path:
        """A filled database to copy: the master realm and its administrator."""
        return self.folder / "database.template"

    @property
    def classes(self) -> Path:
        """The class archive."""
        return self.folder / "classes.jsa"

    @property
    def stamp(self) -> Path:
        """There when the build is complete."""
        return self.folder / "ready"


def build() -> Build:
    """Return the ready Keycloak, made first if need be.

    Raises:
        NotAvailableError: No Java, or no way to fetch the distribution.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    made = Build(CACHE / f"{VERSION}-{recipe}")
    made.folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.stamp.exists():
            _make(made)
    return made


def _make(made: Build) -> None:
    if shutil.which("java") is None:
        raise NotAvailableError("there is no Java: apt-get install default-jre-headless")
    shutil.rmtree(made.home, ignore_errors=True)
    _unpack(_distribution(), made.folder)
    subprocess.run(
        [made.home / "bin/kc.sh", "build", "--db=dev-file"],
        check=True,
        stdin=subprocess.DEVNULL,
        env=_environment(SERIAL),
    )
    filled = made.folder / "database.filling"
    shutil.rmtree(filled, ignore_errors=True)
    with started(made, free_port(), filled, made.folder / "filling.log", java=SERIAL):
        pass
    shutil.rmtree(made.database, ignore_errors=True)
    shutil.copytree(filled, made.database)
    archiving = f"{SERIAL} -XX:ArchiveClassesAtExit={made.classes}"
    with started(made, free_port(), filled, made.folder / "archiving.log", java=archiving):
        pass
    shutil.rmtree(filled)
    made.stamp.touch()
    for outdated in CACHE.glob("*-*"):
        if outdated != made.folder:
            shutil.rmtree(outdated)


def _distribution() -> Path:
    group, name, version, kind = COORDINATES.split(":")
    local = (
        Path.home() / ".m2/repository" / group.replace(".", "/") / name / version / f"{name}-{version}.{kind}"
    )
    if not local.exists():
        _fetch()
    with local.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise NotAvailableError(f"{local.name} is not the file that was published: {digest}")
    return local


def _fetch() -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NotAvailableError("there is no Maven to fetch Keycloak with: apt-get install maven")
    with tempfile.TemporaryDirectory() as elsewhere:
        fetched = subprocess.run(
            [maven, "-q", "-B", "dependency:get", f"-Dartifact={COORDINATES}", "-Dtransitive=false"],
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=elsewhere,
        )
    if fetched.returncode != 0:
        raise NotAvailableError(f"Maven could not fetch {COORDINATES}")


def _unpack(distribution: Path, folder: Path) -> None:
    with zipfile.ZipFile(distribution) as archive:
        archive.extractall(folder)
        for entry in archive.infolist():
            # The zip's upper half holds Unix permissions, which `extractall` leaves behind.
            mode = entry.external_attr >> 16
            if mode & 0o111:
                (folder / entry.filename).chmod(mode & 0o777)


def _environment(java: str) -> dict[str, str]:
    executable = Path(shutil.which("java") or "java").resolve()
    return {
        **os.environ,
        "JAVA_HOME": str(executable.parent.parent),
        "JAVA_OPTS_KC_HEAP": HEAP,
        "JAVA_OPTS_APPEND": java,
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMINISTRATOR,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
    }


def fast(made: Build) -> str:
    """Return Java's options for the quickest start."""
    return f"{SERIAL} -XX:SharedArchiveFile={made.classes} -Xshare:auto"


@contextlib.contextmanager
def started(
    made: Build,
    port: int,
    database: Path,
    log: Path,
    *,
    java: str,
    options: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Keycloak for the length of the `with` block.

    Args:
        database: Folder of its database; several Keycloaks of one build each have their own.
        java: Options of the Java machine.
        options: More options of Keycloak's, without their dashes.
    """
    all_options = {
        "http-enabled": "true",
        "http-host": "127.0.0.1",
        "http-port": str(port),
        "hostname-strict": "false",
        "proxy-headers": "xforwarded",
        "proxy-trusted-addresses": "127.0.0.1",
        "cache": "local",
        "db-url": f"jdbc:h2:file:{database}/keycloakdb;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE",
        **(options or {}),
    }
    command = [made.home / "bin/kc.sh", "start", "--optimized"]
    command += [f"--{name}={value}" for name, value in all_options.items()]

    def ready() -> bool:
        address = f"http://127.0.0.1:{port}/realms/master/.well-known/openid-configuration"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
        return False

    with running(
        command, log=log, ready=ready, seconds=START_SECONDS, environment=_environment(java)
    ) as process:
        yield process


if __name__ == "__main__":
    try:
        sys.stdout.write(f"Keycloak is ready in {build().folder}\n")
    except NotAvailableError as error:
        sys.exit(f"Keycloak cannot be built: {error}")
