"""`sparekey check` prints what power the settings open, and whether the policy file agrees."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import check
from gateway.settings import from_mapping
from tests.flows.world import policy
from tests.servers.settings_file import checked_only

HELPDESK, OPERATORS = "cn=helpdesk,ou=groups,dc=example,dc=org", "operators"


def test_every_opened_group_is_told_and_whether_both_keys_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policies.toml").write_text(f'opened = ["{HELPDESK.upper()}"]\n{policy()}')
    directory = {
        "name": "corp",
        "servers": ["ldaps://ldap.example.org"],
        "ca": str(tmp_path / "ca.pem"),
        "bind_dn": "cn=sparekey",
        "bind_password": "secret",
        "base": "dc=example,dc=org",
        "protected_groups": [HELPDESK],
        "opened_groups": [HELPDESK],
    }
    settings = from_mapping(
        checked_only(
            tmp_path, directories=[directory], roles={"helpdesk": [OPERATORS], "opened": [OPERATORS]}
        )
    )
    monkeypatch.setattr(check, "load_or_exit", lambda *_: settings)
    told = CliRunner().invoke(check.command, []).output.splitlines()
    assert [line for line in told if "opened power" in line] == [
        f"note     opened power: {OPERATORS}, by the settings alone: closed",
        f"note     opened power: {HELPDESK}, by settings and policy file: open",
    ]
