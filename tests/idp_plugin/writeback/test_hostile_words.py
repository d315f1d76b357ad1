"""What strangers, and agents in the wrong hands, may say: it is refused, and nothing else comes of it."""

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp_plugin.base import Identity, Subject, WriterCapabilities
from idp_plugin.errors import IdpMisconfigured
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.writeback import beat, joining
from idp_plugin.writeback.beat import Health
from idp_plugin.writeback.identity import AgentIdentity
from idp_plugin.writeback.keys import (
    Untrusted,
    new_signing_key,
    public_text,
    sign,
    succession,
    unverified,
    verify,
    verify_or_succeeded,
)
from idp_plugin.writeback.order import Package, trusted
from idp_plugin.writeback.roster import Status
from idp_plugin.writeback.wire_types import capabilities_json, read_capabilities
from tests.idp_plugin.writeback.arranged import ISSUER, Office, adapter, over_streams, utc_now
from tests.servers.slapd import Slapd
from tests.servers.valkey import Valkey

HEADERS: tuple[Any, ...] = (
    5,
    [],
    None,
    {},
    {"alg": 5},
    {"alg": "none"},
    {"alg": "HS256"},
    {"alg": "Ed25519", "crit": 5},
    {"alg": "Ed25519", "crit": ["b64"], "b64": False},
    {"alg": "Ed25519", "kid": {}, "jwk": 5, "x5c": 5, "jku": "https://stranger.example.org"},
)


def _part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def hostile_tokens() -> Iterator[str]:
    yield from ("", "..", "a.b.c", "\ud800.a.b", "=.=.=")
    named = json.dumps({"signing": public_text(new_signing_key())}).encode()
    for header in HEADERS:
        for payload in (b"{}", b"5", b"\xff", b"[" * 50_000, b'{"signing": "Ed25519:AA"}', named):
            yield f"{_part(header)}.{_part(payload)}.{_part(b'x' * 64)}"


def test_garbage_is_refused_and_raises_nothing_else() -> None:
    key = new_signing_key()
    for token in hostile_tokens():
        package = json.dumps({"order": token, "envelope": "", "introductions": [token]}).encode()
        for read in (
            lambda token=token: verify("order", token, key),
            lambda token=token: joining.read(token),
            lambda package=package: trusted(Package.from_bytes(package), key),
        ):
            with pytest.raises(Untrusted):
                read()
        # It vouches for nothing: it only must not raise anything else.
        try:
            unverified(token)
        except Untrusted:
            continue


def test_no_end_of_introductions_is_not_followed() -> None:
    keys = [new_signing_key() for _ in range(40)]
    said = [succession(old, new) for old, new in itertools.pairwise(keys)]
    verify_or_succeeded("call", sign("call", {}, keys[32]), said[:32], keys[0])
    with pytest.raises(Untrusted):
        verify_or_succeeded("call", sign("call", {}, keys[-1]), said, keys[0])


# Heartbeats of an agent in the wrong hands


@pytest.fixture
def office(tmp_path: Path, valkey: Valkey) -> Iterator[Office]:
    with over_streams(tmp_path, valkey.url) as office:
        yield office


def a_beat(identity: AgentIdentity, **changes: object) -> bytes:
    document = json.loads(beat.make(identity, Health(), utc_now()))
    claims = verify("beat", document["beat"], identity.signing)
    return json.dumps({**document, "beat": sign("beat", claims | changes, identity.signing)}).encode()


@pytest.mark.parametrize(
    "lie",
    [
        {"at": 1e300},
        {"at": 10**400},
        {"generation": 2**63},
        {"generation": 10**400},
        {"generation": 0},
        {"generation": 1e400},
        {"protocol": 1e400},
    ],
)
def test_a_lying_agent_does_not_hide_the_others(office: Office, slapd: Slapd, lie: dict[str, object]) -> None:
    liar, honest = (office.add(adapter(slapd), start=False) for _ in range(2))
    liar.channel.beat(a_beat(liar.identity, **lie))
    assert [seen.status for seen in office.roster.agents()] == [Status.NOT_CONNECTED, Status.RUNNING]
    assert list(office.roster.working()) == [honest.id]


def test_an_agents_words_move_no_operators_terminal(office: Office, slapd: Slapd) -> None:
    agent = office.add(adapter(slapd), start=False)
    escape = "\x1b]0;owned\x07\u202e"
    health = Health(servers={escape: False}, missing_rights=[escape], canary=escape, canary_at=escape)
    agent.beat(health)
    (seen,) = office.roster.agents()
    assert seen.beat
    shown = [*seen.problems, seen.beat.health.canary, seen.beat.health.canary_at]
    assert all(word.isprintable() for word in shown)
    assert seen.problems == ("server:]0;owned", "right:]0;owned")


def test_a_lying_agent_puts_nobody_in_the_place_of_another(office: Office, slapd: Slapd) -> None:
    class Liar(OpenLdap):
        def get(self, subject: Subject) -> Identity | None:
            del subject
            return self.find("bob")

    office.add(Liar(slapd.settings(), ISSUER))
    alice = adapter(slapd).find("alice")
    assert alice
    with pytest.raises(IdpMisconfigured, match="another account"):
        office.remote().get(alice.subject)


@pytest.mark.parametrize("lives", ["P999999999D", "-PT1S", "P1DT1S"])
def test_no_agent_puts_work_off_for_ever_or_into_the_past(lives: str) -> None:
    said = capabilities_json(WriterCapabilities())
    assert read_capabilities({**said, "old_password_lives": "P1D"}).old_password_lives.days == 1
    with pytest.raises(Untrusted):
        read_capabilities({**said, "old_password_lives": lives})
