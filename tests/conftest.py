"""The run as a whole: servers, groups, what was skipped, versions and time.

The fixtures that start servers live in `tests/servers`, one module each.
"""

import pytest

# The fixtures' modules import each other, so all are named before any is loaded.
pytest.register_assert_rewrite("tests.servers")

pytest_plugins = [
    "tests.servers.authlib_client",
    "tests.servers.browser",
    "tests.servers.certificates",
    "tests.servers.drive_smpp",
    "tests.servers.ds389",
    "tests.servers.exim",
    "tests.servers.keycloak",
    "tests.servers.lemonldap",
    "tests.servers.mellon",
    "tests.servers.nginx",
    "tests.servers.oidc_provider",
    "tests.servers.openid_client",
    "tests.servers.phone_provider",
    "tests.servers.postgres",
    "tests.servers.range_service",
    "tests.servers.redis_over_tls",
    "tests.servers.relying_party",
    "tests.servers.run_report",
    "tests.servers.samba",
    "tests.servers.slapd",
    "tests.servers.smsc",
    "tests.servers.smtp",
    "tests.servers.valkey",
    "tests.servers.versions",
]
