"""What an agent believes, refuses and remembers (S20)."""

import base64
import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idp_plugin.base import Subject
from idp_plugin.errors import IdpUnavailable, NotPermitted
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.writeback import beat
from idp_plugin.writeback.agent_directory import AgentDirectory
from idp_plugin.writeback.envelope import unseal
from idp_plugin.writeback.identity import FILE, OLD_KEY_LIVES, ROLLING_RESTART
from idp_plugin.writeback.keys import (
    Untrusted,
    new_sealing_key,
    new_signing_key,
    public_key,
    public_text,
    sign,
    succession,
    verify,
    verify_or_succeeded,
)
from idp_plugin.writeback.order import LIFE, SKEW, Order, OrderKind, Package, content_of, new_id, pack
from idp_plugin.writeback.settings import WriteLimits
from tests.idp_plugin.writeback.arranged import (
    DIRECTORY,
    ISSUER,
    ArrangedAgent,
    Office,
    adapter,
    over_streams,
)
from tests.servers.slapd import PEOPLE, Slapd
from tests.servers.valkey import Valkey

NEW = "Quite-New-Passw0rd"
OLD = "Alice-Passw0rd"
REPLY = new_sealing_key()
LOW_ORDER = (
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)
"""X25519 keys with which every secret is zero. Source: RFC 7748 section 6.1; curve25519's small subgroup."""


@pytest.fixture
def office(tmp_path: Path, valkey: Valkey) -> Iterator[Office]:
    with over_streams(tmp_path, valkey.url) as office:
        yield office


@pytest.fixture
def agent(office: Office, slapd: Slapd) -> ArrangedAgent:
    return office.add(adapter(slapd), start=False)


@pytest.fixture
def alice(slapd: Slapd) -> str:
    return id_of(slapd, "alice")


def id_of(slapd: Slapd, name: str) -> str:
    identity = adapter(slapd).find(name)
    assert identity is not None
    return identity.account.id


def an_order(agent: ArrangedAgent, subject: str, **facts: object) -> Order:
    values: dict[str, object] = {
        "id": new_id(),
        "kind": OrderKind.SET_PASSWORD,
        "target": DIRECTORY,
        "subject": subject,
        "agents": (agent.id,),
        "issued_at": dt.datetime.now(dt.UTC).replace(microsecond=0),
        "reply_to": public_text(REPLY),
    }
    return Order(**(values | facts))  # type: ignore[arg-type]


def packed(office: Office, agent: ArrangedAgent, order: Order, new: str = NEW) -> Package:
    recipients = {agent.id: agent.identity.sealing[0].key}
    return Package.from_bytes(pack(order, {"new": new}, recipients=recipients, key=office.key))


def deliver(office: Office, agent: ArrangedAgent, package: Package) -> bytes | None:
    """Put it on the channel as anybody could who writes to it; return the answer, if any."""
    order = json.loads(_payload(package.order))["id"]
    office.gateway_end.send(order, package.to_bytes())
    assert agent.agent.step(dt.timedelta(seconds=5))
    return office.gateway_end.answer(order, dt.timedelta(seconds=0.05))


def _payload(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def said(agent: ArrangedAgent, answer: bytes | None) -> tuple[str, list[str]]:
    assert answer is not None
    claims = verify("answer", answer.decode(), agent.identity.signing)
    associated = json.dumps(["answer", claims["order"], agent.id]).encode()
    opened = unseal(claims["sealed"], [REPLY], associated=associated)
    return opened["outcome"], opened["why"]


# What is believed


def test_an_order_is_done_and_the_answer_is_signed(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    answer = deliver(office, agent, packed(office, agent, an_order(agent, alice)))
    assert said(agent, answer) == ("done", [])
    assert slapd.accepts("alice", NEW)


def test_what_another_key_signed_is_not_done(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    office.key = new_signing_key()
    assert deliver(office, agent, packed(office, agent, an_order(agent, alice))) is None
    assert slapd.accepts("alice", OLD)


def test_no_fact_of_an_order_can_be_altered(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    other = {"id": new_id(), "subject": id_of(slapd, "bob"), "kind": "unlock", "agents": [agent.id, "other"]}
    for fact in an_order(agent, alice).claims():
        package = packed(office, agent, an_order(agent, alice))
        header, _, signature = package.order.split(".")
        claims = json.loads(_payload(package.order))
        claims[fact] = other.get(fact, claims[fact] + 1 if isinstance(claims[fact], int) else "other")
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        altered = replace(package, order=f"{header}.{body}.{signature}")
        assert deliver(office, agent, altered) is None, fact
    assert slapd.accepts("alice", OLD)


def test_the_envelope_of_another_order_is_refused(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    """By the hash in the signature, and were that the same, by what the envelope belongs to."""
    one = packed(office, agent, an_order(agent, id_of(slapd, "bob")))
    two_order = an_order(agent, alice)
    two = packed(office, agent, two_order, "Another-Passw0rd")
    assert deliver(office, agent, replace(two, envelope=one.envelope)) is None
    with pytest.raises(Untrusted):
        content_of(one, two_order, agent.identity.sealing_keys())
    assert slapd.accepts("alice", OLD)


def test_what_the_gateway_signed_as_something_else_is_no_order(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    package = packed(office, agent, an_order(agent, alice))
    claims = json.loads(_payload(package.order))
    assert deliver(office, agent, replace(package, order=sign("beat", claims, office.key))) is None
    assert slapd.accepts("alice", OLD)
    assert deliver(office, agent, replace(package, order=sign("order", claims, office.key))) is not None


def test_what_is_no_package_is_dropped(office: Office, agent: ArrangedAgent, valkey: Valkey) -> None:
    for body in (b"", b"{}", b"null", b'{"order": 1}', b"\xff\xfe", b'["order"]', b"[" * 100_000):
        office.gateway_end.send(new_id(), body)
        assert agent.agent.step(dt.timedelta(seconds=5))
    assert valkey.client.xlen("{sparekey:writeback:corp}:orders") == 0


# Once, and in time


def test_a_repeated_order_gets_the_same_answer_and_is_not_done_again(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    package = packed(office, agent, an_order(agent, alice))
    first = deliver(office, agent, package)
    later = packed(office, agent, an_order(agent, alice), "Newer-Passw0rd")
    deliver(office, agent, later)
    assert deliver(office, agent, package) == first
    assert slapd.accepts("alice", "Newer-Passw0rd")


def test_a_repeated_order_is_known_after_a_restart(
    office: Office, agent: ArrangedAgent, slapd: Slapd, valkey: Valkey, alice: str
) -> None:
    package = packed(office, agent, an_order(agent, alice))
    first = deliver(office, agent, package)
    deliver(office, agent, packed(office, agent, an_order(agent, alice), "Newer-Passw0rd"))
    agent.end()
    valkey.client.flushall()
    again = office.open(agent.folder, adapter(slapd), start=False)
    assert deliver(office, again, package) == first
    assert slapd.accepts("alice", "Newer-Passw0rd")


def test_an_order_that_was_begun_before_a_crash_is_not_begun_again(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    order = an_order(agent, alice)
    agent.record.take(order, dt.datetime.now(dt.UTC))
    agent.record.begin(order.id)
    assert deliver(office, agent, packed(office, agent, order)) is None
    assert slapd.accepts("alice", OLD)


@pytest.mark.parametrize(
    ("age", "why"), [(LIFE + SKEW + dt.timedelta(seconds=2), "expired"), (-SKEW - LIFE, "clock")]
)
def test_an_order_of_another_time_is_not_done(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str, age: dt.timedelta, why: str
) -> None:
    order = an_order(agent, alice, issued_at=dt.datetime.now(dt.UTC).replace(microsecond=0) - age)
    assert said(agent, deliver(office, agent, packed(office, agent, order))) == ("not_begun", [why])
    assert slapd.accepts("alice", OLD)


def test_an_order_for_others_is_left_to_them(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    package = packed(office, agent, an_order(agent, alice, agents=("somebody-else",)))
    assert deliver(office, agent, package) is None
    assert slapd.accepts("alice", OLD)


# A boundary


def test_an_order_for_another_directory_is_refused(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    package = packed(office, agent, an_order(agent, alice, target="other"))
    assert said(agent, deliver(office, agent, package)) == ("not_begun", ["target"])


def test_people_outside_its_subtrees_are_refused(tmp_path: Path, slapd: Slapd, alice: str) -> None:
    bases = (f"ou=nowhere,{PEOPLE}", f"ou=elsewhere,{PEOPLE}")
    for base in bases:
        slapd.add(base, ["organizationalUnit"], ou=base.split("=")[1].split(",")[0])
    slapd.add(
        f"uid=ivan,{bases[1]}",
        ["inetOrgPerson"],
        uid="ivan",
        cn="ivan",
        sn="ivan",
        userPassword="Ivan-Passw0rd",
    )
    narrow = [OpenLdap(slapd.settings(base=base), ISSUER) for base in bases]
    directory = AgentDirectory(narrow, name=DIRECTORY, source=ISSUER)
    with pytest.raises(NotPermitted, match="missing"):
        directory.set_password(alice, NEW)
    assert directory.find("alice") is None
    assert directory.get(alice) is None
    assert slapd.accepts("alice", OLD)
    ivan = directory.find("ivan")
    assert ivan is not None
    directory.set_password(ivan.account.id, NEW)
    assert directory.opens(ivan.account.id, NEW)


@pytest.mark.parametrize("limits", [{"per_minute": 2}, {"per_day": 2}, {"per_person_and_day": 2}])
def test_more_writes_than_its_own_limits_are_refused(
    office: Office, slapd: Slapd, alice: str, limits: dict[str, int]
) -> None:
    agent = office.add(adapter(slapd), limits=WriteLimits(**limits), start=False)
    answers = [
        said(agent, deliver(office, agent, packed(office, agent, an_order(agent, alice), f"{NEW}-{number}")))
        for number in range(3)
    ]
    assert answers == [("done", []), ("done", []), ("not_begun", ["limit"])]
    assert slapd.accepts("alice", f"{NEW}-1")


def test_one_persons_limit_is_no_other_persons(office: Office, slapd: Slapd, alice: str) -> None:
    agent = office.add(adapter(slapd), limits=WriteLimits(per_person_and_day=1), start=False)
    deliver(office, agent, packed(office, agent, an_order(agent, alice)))
    answer = deliver(office, agent, packed(office, agent, an_order(agent, id_of(slapd, "bob"))))
    assert said(agent, answer) == ("done", [])


def test_the_kill_switch_refuses_everything(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    (agent.folder / "stop").touch()
    assert said(agent, deliver(office, agent, packed(office, agent, an_order(agent, alice)))) == (
        "not_begun",
        ["stopped"],
    )
    (agent.folder / "stop").unlink()
    answer = deliver(office, agent, packed(office, agent, an_order(agent, alice)))
    assert said(agent, answer) == ("done", [])


def test_its_own_log_says_what_was_done_and_no_password(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    deliver(office, agent, packed(office, agent, an_order(agent, alice)))
    deliver(office, agent, packed(office, agent, an_order(agent, id_of(slapd, "erin"))))
    lines = [json.loads(line) for line in (agent.folder / "orders.log").read_text().splitlines()]
    assert [(line["subject"], line["outcome"], line["code"]) for line in lines] == [
        (alice, "done", 31002),
        (id_of(slapd, "erin"), "not_permitted", 33004),
    ]
    kept = b"".join(file.read_bytes() for file in agent.folder.iterdir())
    assert NEW.encode() not in kept
    assert oct((agent.folder / "orders.log").stat().st_mode & 0o777) == "0o600"


# Keys


def test_a_rolled_key_opens_what_is_on_its_way_and_then_nothing(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    on_its_way, too_late = (packed(office, agent, an_order(agent, alice)) for _ in range(2))
    agent.agent.roll()
    assert said(agent, deliver(office, agent, on_its_way)) == ("done", [])
    agent.agent._clock = lambda: dt.datetime.now(dt.UTC) + OLD_KEY_LIVES
    agent.agent.tidy()
    assert len(agent.identity.sealing) == 1
    assert said(agent, deliver(office, agent, too_late)) == ("not_begun", ["unreadable"])


def test_a_rolled_key_is_not_left_on_the_disk(agent: ArrangedAgent) -> None:
    before = (agent.folder / FILE).read_text()
    private = json.loads(before)["sealing"][0]["private"]
    os.link(agent.folder / FILE, agent.folder / "as-a-thief-would-find-it")
    agent.agent.roll()
    agent.agent._clock = lambda: dt.datetime.now(dt.UTC) + OLD_KEY_LIVES
    agent.agent.tidy()
    left = b"".join(file.read_bytes() for file in agent.folder.iterdir())
    assert private.encode() not in left


def test_the_gateway_cannot_open_what_it_sealed(office: Office, agent: ArrangedAgent, alice: str) -> None:
    """Whoever takes a gateway over finds its signing key there, and nothing that opens an envelope."""
    order = an_order(agent, alice)
    package = packed(office, agent, order)
    public = public_key(public_text(agent.identity.sealing[0].key), "X25519")
    for key in (public, new_sealing_key()):
        with pytest.raises(Untrusted):
            content_of(package, order, (key,))
    assert content_of(package, order, agent.identity.sealing_keys()) == {"new": NEW}


def test_a_rolled_agent_is_believed_by_the_word_of_its_old_key(
    office: Office, slapd: Slapd, alice: str
) -> None:
    agent = office.add(adapter(slapd))
    before = office.registry.agents[agent.id]
    agent.agent.roll(signing_too=True)
    agent.agent.roll(signing_too=True)
    agent.beat()
    office.remote().set_password(Subject(DIRECTORY, alice), NEW)
    after = office.registry.agents[agent.id]
    assert (before.generation, after.generation) == (1, 3)
    assert after.signing == public_text(agent.identity.signing) != before.signing
    assert slapd.accepts("alice", NEW)


def test_an_old_heartbeat_brings_no_old_key_back(
    office: Office, agent: ArrangedAgent, valkey: Valkey
) -> None:
    key = f"{{sparekey:writeback:corp}}:beat:{agent.id}"
    old = valkey.client.get(key)
    agent.agent.roll()
    agent.beat()
    assert [each.takes_orders for each in office.roster.agents()] == [True]
    valkey.client.set(key, old, px=90_000)
    assert [each.takes_orders for each in office.roster.agents()] == [False]


def test_a_heartbeat_of_a_stranger_is_not_believed(
    office: Office, agent: ArrangedAgent, valkey: Valkey
) -> None:
    other = office.folder / "stranger"
    other.mkdir()
    stranger = replace(agent.identity, signing=new_signing_key())
    agent.agent._identity = stranger
    agent.beat()
    assert [each.takes_orders for each in office.roster.agents()] == [False]
    with pytest.raises(IdpUnavailable):
        office.remote().find("alice")


def test_a_successor_that_the_old_key_does_not_name_is_nobody() -> None:
    old, new, stranger = new_signing_key(), new_signing_key(), new_signing_key()
    token = sign("beat", {"agent": "1"}, new)
    assert verify_or_succeeded("beat", token, [succession(old, new)], old)[0] == {"agent": "1"}
    with pytest.raises(Untrusted):
        verify_or_succeeded("beat", token, [succession(stranger, new)], old)
    with pytest.raises(Untrusted):
        verify_or_succeeded("beat", token, [], old)


def test_a_gateways_new_key_is_believed_by_the_word_of_its_old_one(
    office: Office, slapd: Slapd, alice: str
) -> None:
    agent = office.add(adapter(slapd))
    new = new_signing_key()
    office.introductions, office.key = (succession(office.key, new),), new
    office.remote().set_password(Subject(DIRECTORY, alice), NEW)
    assert public_text(agent.identity.gateway) == public_text(new)
    office.introductions = ()
    office.remote().set_password(Subject(DIRECTORY, alice), f"{NEW}-2")
    assert slapd.accepts("alice", f"{NEW}-2")


def test_processes_that_still_have_the_old_key_are_believed_while_they_are_restarted(
    office: Office, slapd: Slapd, alice: str
) -> None:
    now = [dt.datetime.now(dt.UTC)]
    agent = office.add(adapter(slapd), clock=lambda: now[0], start=False)
    old, new = office.key, new_signing_key()
    office.introductions, office.key = (succession(old, new),), new
    order = an_order(agent, alice)
    recipients = {agent.id: agent.identity.sealing[0].key}
    believed = pack(order, {"new": NEW}, recipients=recipients, key=new, introductions=office.introductions)
    assert said(agent, deliver(office, agent, Package.from_bytes(believed))) == ("done", [])
    office.key = old
    second = packed(office, agent, an_order(agent, alice), f"{NEW}-2")
    assert said(agent, deliver(office, agent, second)) == ("done", [])
    agent.end()
    office.agents.remove(agent)
    # It is known after a restart, too, and the present key stays the present one.
    again = office.open(agent.folder, adapter(slapd), clock=lambda: now[0], start=False)
    assert public_text(again.identity.gateway) == public_text(new)
    third = packed(office, again, an_order(again, alice), f"{NEW}-3")
    assert said(again, deliver(office, again, third)) == ("done", [])
    now[0] += ROLLING_RESTART
    late = an_order(again, alice, issued_at=now[0].replace(microsecond=0))
    assert deliver(office, again, packed(office, again, late)) is None


def test_a_key_that_has_gone_names_no_other(office: Office, agent: ArrangedAgent, alice: str) -> None:
    old, new, stranger = office.key, new_signing_key(), new_signing_key()
    recipients = {agent.id: agent.identity.sealing[0].key}
    for key, introductions in ((new, (succession(old, new),)), (stranger, (succession(old, stranger),))):
        order = an_order(agent, alice)
        body = pack(order, {"new": NEW}, recipients=recipients, key=key, introductions=introductions)
        answer = deliver(office, agent, Package.from_bytes(body))
        assert (answer is not None) is (key is new)
    assert public_text(agent.identity.gateway) == public_text(new)


# Answers


def test_an_answer_tells_nothing_to_who_reads_the_channel(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    slapd.change(slapd.people["alice"].dn, pwdAccountLockedTime="000001010000Z")
    answer = deliver(office, agent, packed(office, agent, an_order(agent, alice)))
    assert said(agent, answer) == ("not_permitted", ["disabled"])
    assert answer
    assert json.loads(_payload(answer.decode())).keys() == {"order", "agent", "sealed"}


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point[:4].hex())
def test_a_key_that_hides_nothing_is_no_key(point: bytes) -> None:
    text = f"X25519:{base64.urlsafe_b64encode(point).decode().rstrip('=')}"
    with pytest.raises(Untrusted):
        public_key(text, "X25519")


def test_an_agent_with_such_a_key_does_not_stop_the_others(
    office: Office, slapd: Slapd, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.add(adapter(slapd))
    turned = office.add(adapter(slapd), start=False)
    zero = "X25519:" + base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    with monkeypatch.context() as patched:
        patched.setattr(beat, "public_text", lambda key: zero)
        turned.beat()
    assert [each.takes_orders for each in office.roster.agents()] == [True, False]
    office.remote().set_password(Subject(DIRECTORY, alice), NEW)
    assert slapd.accepts("alice", NEW)


def test_an_order_that_could_not_be_answered_is_not_done(
    office: Office, agent: ArrangedAgent, slapd: Slapd, alice: str
) -> None:
    zero = "X25519:" + base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    assert deliver(office, agent, packed(office, agent, an_order(agent, alice, reply_to=zero))) is None
    assert slapd.accepts("alice", OLD)


def test_an_answer_that_no_agent_signed_is_passed_over(
    office: Office, slapd: Slapd, alice: str, valkey: Valkey
) -> None:
    agent = office.add(adapter(slapd), start=False)
    outcome: list[object] = []
    thread = threading.Thread(
        target=lambda: outcome.append(office.remote().set_password(Subject(DIRECTORY, alice), NEW))
    )
    thread.start()
    delivery = agent.channel.receive(dt.timedelta(seconds=5))
    assert delivery is not None
    order = json.loads(_payload(Package.from_bytes(delivery.body).order))["id"]
    claims = {"order": order, "agent": agent.id, "outcome": "done", "why": [], "content": "{}"}
    for forged in (sign("answer", claims, new_signing_key()).encode(), b"", b"done", b"\xff"):
        valkey.client.lpush(f"{{sparekey:writeback:corp}}:answer:{order}", forged)
    assert slapd.accepts("alice", OLD)
    agent.agent.work(delivery)
    thread.join(10)
    assert outcome == [()]
    assert slapd.accepts("alice", NEW)
