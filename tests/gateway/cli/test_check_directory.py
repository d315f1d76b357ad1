"""`sparekey check --directory NAME --person NAME`: each right over somebody, tried live, in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import check
from gateway.settings import from_mapping
from idp_plugin.settings import DirectorySettings
from tests.servers.ds389 import PEOPLE, Ds389
from tests.servers.ds389 import dn_of as dn_in_ds389
from tests.servers.samba import SambaDomain
from tests.servers.settings_file import checked_only
from tests.servers.slapd import Slapd

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with these directories in the settings."""

    def ran(*arguments: str, directories: list[DirectorySettings | dict[str, Any]]) -> Result:
        plain = [each if isinstance(each, dict) else each.model_dump() for each in directories]
        settings = from_mapping(checked_only(tmp_path, directories=plain))
        monkeypatch.setattr(check, "load_or_exit", lambda *_: settings)
        return CliRunner().invoke(check.command, arguments)

    return ran


def test_every_right_over_somebody_is_told_and_nothing_is_written(run: Run, slapd: Slapd) -> None:
    before = slapd.read(slapd.people["alice"].dn)
    told = run("--directory", "corp", "--person", "alice", directories=[slapd.settings()])
    assert told.exit_code == 0, told.output
    assert [line.partition(": ")[2] for line in told.output.splitlines()][2:] == [
        "the service account may set the password",
        "the service account may end a lock",
        "the service account may order a change at the next sign-in, for temporary passwords",
        "the service account may read whether the account is locked, closed or expired",
        "the service account may write nothing else",
    ]
    assert slapd.read(slapd.people["alice"].dn) == before


def test_what_to_grant_is_said_where_a_right_lacks(run: Run, ds389: Ds389) -> None:
    arguments = ("--directory", "corp", "--person", "alice")
    before = ds389.read(dn_in_ds389("alice"))
    assert run(*arguments, directories=[ds389.settings()]).exit_code == 0
    assert ds389.read(dn_in_ds389("alice")) == before
    rules = [rule for rule in ds389.read(PEOPLE)["aci"] if "writes passwords" not in rule]
    ds389.change(PEOPLE, aci=[*rules, _mail_alone(ds389)])
    told = run(*arguments, directories=[ds389.settings()])
    assert told.exit_code == 1
    wrong = [line for line in told.output.splitlines() if line.startswith("PROBLEM")]
    assert [line.partition("Give it ")[2] for line in wrong] == [
        f"{each}: see deploy/389-directory-server.md"
        for each in (
            "an aci with `allow (write)` for it on userPassword of people",
            "an aci with `allow (write)` for it on what counts wrong passwords of people",
            "no aci that lets it write anything else",
        )
    ]
    # Temporary passwords are a choice.
    assert "for temporary passwords. Give it an aci" in told.output


def _mail_alone(ds389: Ds389) -> str:
    service = ds389.settings().bind_dn
    return f'(targetattr="mail")(version 3.0; acl "too much"; allow (write) userdn="ldap:///{service}";)'


def test_active_directory_is_asked_the_same_way(run: Run, samba_domain: SambaDomain) -> None:
    told = run("--directory", "corp", "--person", "alice", directories=[samba_domain.settings()])
    assert told.exit_code == 0, told.output
    assert "the service account may set the password" in told.output


def test_other_directories_are_left_alone(run: Run, slapd: Slapd) -> None:
    gone = slapd.settings(name="gone", servers=("ldaps://127.0.0.1:1",))
    told = run("--directory", "corp", directories=[gone, slapd.settings()])
    assert told.exit_code == 0, told.output
    assert "gone" not in told.output


def test_a_directory_that_is_in_no_settings_is_a_problem(run: Run, slapd: Slapd) -> None:
    told = run("--directory", "crop", directories=[slapd.settings()])
    assert (told.exit_code, told.output) == (1, "PROBLEM  directory crop: is not in the settings\n")
