"""What the plane learns of a sign-in besides its person: rules that look at it, before a real provider."""

from pathlib import Path

import pytest

from tests.gateway.interception.demo_world import demo_world
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor

POLICY = """
[[rules]]
name = "exempt"
required = false
[rules.who]
everyone = true
{bound}

[[rules]]
name = "everybody"
kinds = ["email"]
[rules.who]
everyone = true
"""


@pytest.mark.parametrize(
    ("bound", "exempt"),
    [
        ('networks = ["127.0.0.0/8"]', True),
        # Nobody trusts the peer, so that what it says of another address is not believed.
        ('networks = ["192.0.2.0/24"]', False),
        ('protocols = ["oidc"]', True),
        ('protocols = ["saml"]', False),
        ('times = [{ zone = "UTC" }]', True),
    ],
)
def test_rules_see_the_address_the_protocol_and_the_time_of_a_sign_in(
    tmp_path: Path, valkey: Valkey, bound: str, exempt: bool
) -> None:
    with demo_world(tmp_path, valkey.url, policy=POLICY.format(bound=bound)) as demo:
        visitor = Visitor(headers={"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"})
        answer = demo.sign_in(visitor, "alice")
        visitor.client.close()
        assert ("code=" in answer.headers["location"]) is exempt
