"""The rules of the run itself: nothing is skipped in silence, and nothing changes unseen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import presence, versions

ROOT = Path(__file__).parents[2]

USES_KEYCLOAK = """\
import pytest

@pytest.fixture
def keycloak():
    return "not a real one"

def test_one(keycloak, tmp_path_factory):
    pass

def test_two():
    pass

def test_three(keycloak):
    pass
"""


def test_a_missing_server_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install nowhere"):
        presence.program("no-such-program", package="nowhere")


def test_a_missing_server_fails_where_nothing_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nowhere"):
        presence.program("no-such-program", package="nowhere")


def test_a_point_update_is_no_difference() -> None:
    assert versions.differences({"nginx": "1.22.9", "PostgreSQL": "15.99", "Chromium": "999.1"}) == []


@pytest.mark.parametrize(("name", "version"), [("nginx", "1.3"), ("PostgreSQL", "16.1"), ("nginx", "1.220")])
def test_another_version_is_a_difference(name: str, version: str) -> None:
    (difference,) = versions.differences({name: version})
    assert version in difference


def test_a_server_that_nobody_listed_is_a_difference() -> None:
    assert len(versions.differences({"Unheard": "1.0"})) == 1


def _run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_uses_keycloak.py").write_text(USES_KEYCLOAK)
    plugins = ["-p", "tests.servers.versions", "-p", "tests.servers.run_report", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", folder, *plugins, *options, folder],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_tests_that_share_a_server_run_on_one_worker(tmp_path: Path) -> None:
    ran = _run(tmp_path, "-n", "2", "--dist", "loadgroup", "-v", CI="true")
    workers = {
        line.split("]")[0] for line in ran.stdout.splitlines() if "PASSED" in line and "@keycloak" in line
    }
    assert ran.returncode == 0, ran.stdout
    assert len(workers) == 1


def test_the_longest_group_starts_first(tmp_path: Path) -> None:
    ran = _run(tmp_path, "--collect-only", "-q")
    names = [line.partition("::")[2] for line in ran.stdout.splitlines() if "::" in line]
    assert names == ["test_one", "test_three", "test_two"]


def test_a_group_over_its_budget_turns_the_run_red_under_ci(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.servers import run_report\nrun_report.REST_SECONDS = -1\n"
    )
    assert _run(tmp_path, CI="true").returncode == pytest.ExitCode.TESTS_FAILED
    assert _run(tmp_path, CI="").returncode == pytest.ExitCode.OK


def test_what_was_skipped_is_said_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(
        "import pytest\n\ndef test_it():\n    pytest.skip('no such server')\n"
    )
    said = _run(tmp_path, CI="").stdout.partition("SKIPPED, and why")[2]
    assert "test_skips.py::test_it: no such server" in said
