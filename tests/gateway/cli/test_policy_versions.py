"""A weaker policy waits for a second person, by command and by file."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import policy_versions
from gateway.cli.policy import command
from gateway.cli.who_runs import operator_name
from gateway.settings import from_mapping
from tests.servers.settings_file import checked_only, unused_directory

POLICY = '[[rules]]\nname = "All"\ntrust_delay_hours = {hours}\n[rules.who]\neveryone = true\n'
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `sparekey policy` as somebody."""
    policies = {"file": str(tmp_path / "policies.toml"), "weaker_after_hours": 0}
    directories = [unused_directory(tmp_path / "ca.pem", 1)]
    settings = from_mapping(checked_only(tmp_path, policies=policies, directories=directories))
    monkeypatch.setattr(policy_versions, "load_or_exit", lambda *_: settings)
    upgraded(settings)

    def ran(*arguments: str, author: str = "ana", hours: int = 24) -> Result:
        document = tmp_path / "new.toml"
        document.write_text(POLICY.format(hours=hours))
        monkeypatch.setattr(policy_versions, "operator_name", lambda: author)
        given = [str(document) if each == "FILE" else each for each in arguments]
        return CliRunner().invoke(command, given)

    return ran


def upgraded(settings: object) -> None:
    from gateway.stores import open_database  # noqa: PLC0415 - beside the settings above

    database = open_database(settings)  # type: ignore[arg-type]
    database.upgrade()
    database.dispose()


def test_a_weaker_version_is_refused_until_a_second_person_approves(run: Run) -> None:
    assert run("set", "FILE", hours=24).output == "version 1 is in force\n"
    refused = run("set", "FILE", hours=0)
    assert refused.exit_code == 1
    assert "trust_delay_hours: All -> All" in refused.output
    assert "not told by mail" in refused.output
    alone = run("approve", "1")
    assert (alone.exit_code, "second person" in alone.output) == (1, True)
    assert '"author": "ana"' in run("waiting", "--json").output
    assert run("approve", "1", author="ben").output == "version 2 is in force\n"
    assert run("waiting").output == ""


def test_what_was_rejected_can_be_approved_by_nobody(run: Run) -> None:
    run("set", "FILE", hours=24)
    run("set", "FILE", hours=0)
    assert run("reject", "1", author="ben").exit_code == 0
    gone = run("approve", "1", author="ben")
    assert (gone.exit_code, "no version with this number waits" in gone.output) == (1, True)


def test_a_document_with_problems_is_listed_and_changes_nothing(run: Run) -> None:
    refused = run("set", "FILE", hours=-1)
    assert (refused.exit_code, "rules.0.trust_delay_hours" in refused.output) == (1, True)


def test_nobody_becomes_another_person_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody else")
    monkeypatch.setenv("USER", "somebody else")
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert operator_name() == pwd.getpwuid(os.getuid()).pw_name
