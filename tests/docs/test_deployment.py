"""What `deploy/` tells an operator to do works on the real thing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from enforcement import policy
from tests.servers import keycloak as kc
from tests.servers import keycloak_build as building

ROOT = Path(__file__).parents[2]


def test_the_example_policy_loads() -> None:
    loaded = policy.load((ROOT / "deploy/policies.example.toml").read_text("utf-8"))
    assert loaded.rules


def test_the_example_policy_shows_every_field() -> None:
    text = (ROOT / "deploy/policies.example.toml").read_text("utf-8")
    fields = {name for model in (policy.Rule, policy.Postpone) for name in model.model_fields}
    fields = (fields - {"register_count"}) | {"register"}
    assert {
        name for name in fields if not re.search(rf"^{name} = |\[rules\.{name}\]", text, re.MULTILINE)
    } == set()


def test_the_commands_that_make_keycloaks_client_work(keycloak: kc.Keycloak, tmp_path: Path) -> None:
    realm = "deployed"
    keycloak.admin("POST", "", json={"realm": realm, "enabled": True})
    try:
        _run(keycloak, realm, tmp_path)
        (client,) = keycloak.admin("GET", f"/{realm}/clients", params={"clientId": "sparekey"}).json()
        account = keycloak.admin("GET", f"/{realm}/clients/{client['id']}/service-account-user").json()
        roles = keycloak.admin("GET", f"/{realm}/users/{account['id']}/role-mappings").json()
    finally:
        keycloak.admin("DELETE", f"/{realm}")
    assert client["consentRequired"] is False
    granted = roles["clientMappings"]["realm-management"]["mappings"]
    assert {role["name"] for role in granted} == {"manage-users", "view-realm"}


def _run(keycloak: kc.Keycloak, realm: str, folder: Path) -> None:
    page = (ROOT / "deploy/keycloak.md").read_text("utf-8")
    (script,) = [
        block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "kcadm.sh create" in block
    ]
    script = script.replace("http://127.0.0.1:8180", keycloak.address).replace("-r corp", f"-r {realm}")
    script = script.replace("--user admin", f"--user {building.ADMINISTRATOR} --password {building.PASSWORD}")
    java = Path(shutil.which("java") or "java").resolve().parent.parent
    environment = os.environ | {
        "HOME": str(folder),
        "JAVA_HOME": str(java),
        "PATH": f"{building.build().home}/bin:{os.environ['PATH']}",
        # Keeps its files out of the home of whoever runs the tests; four short runs need no second compiler.
        "KC_OPTS": f"-Duser.home={folder} -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
