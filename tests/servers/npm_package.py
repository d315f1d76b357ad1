"""A program of ours on packages of npm, installed once into `.cache` by its lock file."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.servers.presence import missing, program

CACHE = Path(__file__).parents[2] / ".cache"


def installed(source: Path) -> Path:
    """Return a folder with the packages that a folder of ours locks, and with its programs."""
    npm, lock = program("npm", package="npm"), (source / "package-lock.json").read_bytes()
    folder = CACHE / source.name / hashlib.sha256(lock).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(npm, source, folder)
        for written in (*source.glob("*.js"), *source.glob("*.mjs")):
            shutil.copyfile(written, folder / written.name)
    return folder


def _install(npm: Path, source: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(source / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=120)
    if done.returncode:
        why = done.stderr.decode(errors="replace")[-300:]
        missing(f"the npm packages of {source.name}", f"`npm ci` failed: {why}")
    (folder / "installed").touch()
