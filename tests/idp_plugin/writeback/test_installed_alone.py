"""The agent from the wheel, in an environment without the gateway's extras."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.idp_plugin.writeback.arranged import agent_toml
from tests.servers import presence
from tests.servers.slapd import Slapd

ROOT = Path(__file__).parents[3]


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The folder of programs of an environment with the wheel and the agent's lock, and nothing else."""
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    assert built.returncode == 0, built.stdout
    venv.create(tmp_path / "alone", with_pip=False)
    python = tmp_path / "alone" / "bin" / "python"
    options = ("--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", *options)
    locked = run(*pip, "--require-hashes", "--requirement", ROOT / "requirements" / "agent.txt")
    if locked.returncode:
        presence.missing("the packages of requirements/agent.txt", locked.stdout[-500:])
    installed = run(*pip, "--no-index", *tmp_path.glob("*.whl"))
    assert installed.returncode == 0, installed.stdout
    return python.parent


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.timeout(180)
def test_the_agent_works_without_flask_and_sqlalchemy(alone: Path, slapd: Slapd, tmp_path: Path) -> None:
    assert "Dials out only" in run(alone / "sparekey", "agent", "--help").stdout
    listed = run(alone / "sparekey", "--help")
    assert listed.returncode == 0, listed.stdout
    refused = run(alone / "sparekey", "serve")
    assert (refused.returncode, "install sparekey[gateway]" in refused.stdout) == (1, True)
    for absent in ("flask", "sqlalchemy", "huey", "rich"):
        assert "ModuleNotFoundError" in run(alone / "python", "-c", f"import {absent}").stdout
    settings = agent_toml(tmp_path, slapd, "redis://127.0.0.1:1")
    tested = run(alone / "sparekey", "agent", "--settings", settings, "--test-rights", "alice")
    assert (tested.returncode, "alice is one person" in tested.stdout) == (0, True), tested.stdout
