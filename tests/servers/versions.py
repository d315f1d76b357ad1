"""What the live servers say they are; `versions.txt` holds what CI expects."""

from collections.abc import Callable
from pathlib import Path

import pytest

EXPECTED = Path(__file__).with_name("versions.txt")
FOUND = pytest.StashKey[dict[str, str]]()
ANY = "*"

ReportVersion = Callable[[str, str], None]


def found(config: pytest.Config) -> dict[str, str]:
    """Return the versions reported in this process so far, by server."""
    return config.stash.setdefault(FOUND, {})


def expected() -> dict[str, str]:
    """Read the checked-in list: one server and the start of its version per line, `*` for any."""
    lines = (line.split("#")[0].split() for line in EXPECTED.read_text(encoding="utf-8").splitlines())
    return dict(filter(None, lines))


def differences(reported: dict[str, str]) -> list[str]:
    """Compare with the checked-in list; a point update of Debian's is no difference."""
    wanted = expected()
    return [
        f"{name} reports {version}, versions.txt says {wanted.get(name, 'nothing')}"
        for name, version in sorted(reported.items())
        if not _fits(version, wanted.get(name))
    ]


def _fits(version: str, wanted: str | None) -> bool:
    return wanted is not None and (wanted == ANY or f"{version}.".startswith(f"{wanted}."))


@pytest.fixture(scope="session")
def report_version(pytestconfig: pytest.Config) -> ReportVersion:
    """Call with a server's name and the version it states; printed at the end of the run."""
    return found(pytestconfig).__setitem__
