"""The HTTPS endpoint of the agents: who may join, whose calls are believed, and for how long."""

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.agents.writeback import signer_from
from idp_plugin.errors import IdpMisconfigured
from idp_plugin.writeback.channel import ChannelDown, Delivery, NotAccepted
from idp_plugin.writeback.guarded_streams import LARGEST_ANSWER, LARGEST_BEAT, MOST_ANSWERS
from idp_plugin.writeback.identity import AgentIdentity, IdentityFile, new_identity
from idp_plugin.writeback.joining import Invitation, Wish, _believed, ask, welcome
from idp_plugin.writeback.keys import (
    Untrusted,
    new_signing_key,
    public_text,
    sign,
    signing_key_from,
    verify_or_succeeded,
)
from idp_plugin.writeback.order import new_id
from idp_plugin.writeback.streams import StreamGatewayEnd
from store.audit import AuditAction
from store.vault import Vault
from tests.contracts.arranged_channels import DIRECTORY, Endpoint, endpoint, utc_now
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey

AT_ONCE = dt.timedelta(0)


@pytest.fixture
def served(tmp_path: Path, valkey: Valkey) -> Iterator[Endpoint]:
    with endpoint(tmp_path, valkey.url, polls=1) as served:
        yield served


def actions(served: Endpoint) -> list[AuditAction]:
    with served.database.reading() as transaction:
        return [event.action for event in reversed(transaction.audit.find())]


def a_call(identity: AgentIdentity, **changes: Any) -> dict[str, Any]:
    claims = {
        "agent": identity.id,
        "call": "beat",
        "at": round(utc_now().timestamp() * 1000),
        "nonce": "once",
        "body": "beat",
    }
    return {"call": sign("call", claims | changes, identity.signing), "introductions": []}


def answered(served: Endpoint, body: Any) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = httpx.post(f"{served.url}/agent/call", content=content)
    return found.status_code, found.json()


# Joining


def test_an_agent_joins_once_with_a_token(served: Endpoint) -> None:
    invitation = served.invitation()
    identity = served.join("one", invitation)
    assert identity.directory == DIRECTORY
    assert public_text(identity.gateway) == public_text(served.writeback.signer.key)
    assert [each.id for each in served.writeback.registry.of(DIRECTORY)] == [identity.id]
    with pytest.raises(IdpMisconfigured):
        served.join("two", invitation)
    assert actions(served) == [AuditAction.AGENT_INVITED, AuditAction.AGENT_JOINED, AuditAction.AGENT_REFUSED]


def test_an_old_or_invented_token_lets_nobody_in(served: Endpoint) -> None:
    old = served.invitation(life=dt.timedelta(seconds=-1))
    invented = Invitation.of("x" * 43, served.writeback.signer.key)
    for invitation in (old, invented):
        with pytest.raises(IdpMisconfigured):
            served.join("one", invitation)
    assert served.writeback.registry.of(DIRECTORY) == ()


def test_strangers_who_try_do_not_fill_the_audit(served: Endpoint) -> None:
    invented = Invitation.of("x" * 43, served.writeback.signer.key)
    for _ in range(3):
        with pytest.raises(IdpMisconfigured):
            served.join("one", invented)
    assert actions(served) == [AuditAction.AGENT_REFUSED]


def test_a_gateway_that_the_token_does_not_name_is_not_joined(served: Endpoint) -> None:
    invitation = replace(served.invitation(), gateway=Invitation.of("", new_signing_key()).gateway)
    with pytest.raises(IdpMisconfigured, match="not the gateway"):
        served.join("one", invitation)
    assert not IdentityFile(served.folder / "one").exists


def test_a_welcome_for_another_key_is_not_believed() -> None:
    gateway = new_signing_key()
    wish = Wish("secret", "name", new_signing_key())
    assert ask(wish).count(".") == 2

    with pytest.raises(Untrusted):
        _believed(
            welcome("id", DIRECTORY, wish, gateway),
            Invitation.of("secret", gateway),
            new_identity(DIRECTORY, utc_now()),
        )


def test_a_token_for_another_directory_is_refused_by_the_agent(served: Endpoint) -> None:
    with pytest.raises(IdpMisconfigured, match="other"):
        served.join("one", served.invitation("other"))


# Calls


def test_a_call_is_believed_by_its_signature_alone(served: Endpoint, valkey: Valkey) -> None:
    identity = served.join("one")
    assert answered(served, a_call(identity)) == (200, {})
    assert valkey.client.get(f"{{sparekey:writeback:corp}}:beat:{identity.id}") == b"beat"


def test_a_recorded_call_is_not_done_again(served: Endpoint) -> None:
    call = a_call(served.join("one"))
    assert answered(served, call)[0] == 200
    assert answered(served, call) == (401, {"why": "replayed"})


def test_calls_of_strangers_are_refused(served: Endpoint, valkey: Valkey) -> None:
    identity = served.join("one")
    stranger = replace(identity, signing=new_signing_key())
    before = valkey.client.dbsize()
    calls: tuple[Any, ...] = (
        a_call(stranger),
        a_call(replace(identity, id="nobody")),
        {"call": "", "introductions": []},
        {"call": sign("beat", {"agent": identity.id}, identity.signing), "introductions": []},
        {},
        [],
        b"",
        b"[" * 50_000,
        b"\xff",
        {"call": sign("call", {"agent": "\0\ud800"}, stranger.signing), "introductions": []},
        {"call": "eyJjcml0Ijo1fQ.e30.eHh4", "introductions": []},
        a_call(identity, at=1e300),
    )
    for call in calls:
        assert answered(served, call)[0] == 401
    assert valkey.client.dbsize() == before


def test_strangers_who_try_to_join_do_not_wait_for_the_database(served: Endpoint) -> None:
    def tries() -> int:
        invented = ask(Wish("x" * 43, "stranger", new_signing_key()))
        return httpx.post(f"{served.url}/agent/join", json={"join": invented}, timeout=2).status_code

    # The first one is written down.
    assert tries() == 401
    with served.database.transaction() as transaction:
        transaction.agents.invite(DIRECTORY, now=utc_now(), life=dt.timedelta(hours=1))
        assert tries() == 401
    hostile = {"join": "eyJjcml0Ijo1fQ.eyJzaWduaW5nIjoiRWQyNTUxOTpBQSJ9.eHh4"}
    assert httpx.post(f"{served.url}/agent/join", json=hostile).status_code == 401


def test_those_who_wait_keep_no_order_from_others(tmp_path: Path, valkey: Valkey) -> None:
    with endpoint(tmp_path, valkey.url, polls=0) as crowded:
        end, gateway = crowded.end(crowded.join("one")), StreamGatewayEnd(valkey.url, DIRECTORY)
        gateway.send(new_id(), b"order")
        found = end.receive(AT_ONCE) or end.receive(AT_ONCE)
        assert found
        assert found.body == b"order"
        gateway.close()


def test_a_call_of_another_time_is_refused_and_says_why(served: Endpoint) -> None:
    identity = served.join("one")
    for minutes in (5, -5):
        wrong = dt.timedelta(minutes=minutes)
        end = served.end(identity, clock=lambda wrong=wrong: utc_now() + wrong)
        with pytest.raises(NotAccepted, match="clock"):
            end.beat(b"beat")


def test_names_that_would_reach_other_keys_are_refused(served: Endpoint) -> None:
    identity = served.join("one")
    for number, facts in enumerate(
        (
            {"call": "claim", "order": "../other"},
            {"call": "claim", "order": "x" * 32},
            {"call": "drop", "delivery": "0-1 KEYS"},
            {"call": "drop", "delivery": "1" * 50},
            {"call": "receive", "wait": "long"},
            {"call": "receive"},
            {"call": "flushall"},
        )
    ):
        assert answered(served, a_call(identity, nonce=f"n{number}", **facts))[0] == 401


def test_a_revoked_agent_is_not_accepted(served: Endpoint) -> None:
    identity = served.join("one")
    assert served.writeback.revoke(identity.id, "tester")
    with pytest.raises(NotAccepted, match="unknown"):
        served.end(identity).receive(AT_ONCE)
    assert served.writeback.registry.of(DIRECTORY) == ()
    assert not served.writeback.revoke(identity.id, "tester")


def test_an_agent_that_rolled_its_signing_key_calls_on(served: Endpoint) -> None:
    rolled = served.join("one").rolled(utc_now(), signing_too=True)
    served.end(rolled).beat(b"beat")


def test_polls_leave_threads_for_answers(served: Endpoint) -> None:
    """One poll may wait here; a second one is answered at once instead of taking a thread."""
    first, second = served.end(served.join("one")), served.end(served.join("two"))
    thread = threading.Thread(target=lambda: first.receive(dt.timedelta(seconds=2)))
    thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    assert second._call("receive", wait=20.0) == {"delivery": None, "pause": 1.0}
    assert time.monotonic() - begun < 1.5
    thread.join()


def test_a_gateway_that_is_not_there_is_a_channel_that_is_down(served: Endpoint) -> None:
    identity = served.join("one")
    served.url = f"http://127.0.0.1:{free_port()}/sparekey"
    with pytest.raises(ChannelDown):
        served.end(identity).beat(b"beat")


def test_older_keys_of_the_ring_speak_for_the_newest() -> None:
    keys = [bytes([number]) * 32 for number in range(3)]
    oldest = signer_from(Vault(keys[2:]))
    rotated = signer_from(Vault(keys))
    token = sign("order", {"id": "1"}, rotated.key)
    claims, key = verify_or_succeeded("order", token, rotated.introductions, oldest.key)
    assert (claims, public_text(key)) == ({"id": "1"}, public_text(rotated.key))
    with pytest.raises(Untrusted):
        verify_or_succeeded("order", token, rotated.introductions, signing_key_from(b"x" * 32))


# What an agent in the wrong hands can leave behind


def kept(valkey: Valkey) -> set[str]:
    found = {key.decode().rpartition("}:")[2] for key in valkey.client.scan_iter("{sparekey:writeback:*")}
    return {key for key in found if not key.startswith("beat:")}


def test_answers_and_claims_that_nobody_waits_for_leave_nothing(served: Endpoint, valkey: Valkey) -> None:
    end = served.end(served.join("one"))
    for _ in range(20):
        nobodys = Delivery("1-1", b"", "run")
        assert not end.claim(nobodys, new_id())
        end.answer(nobodys, new_id(), b"x" * 60_000)
    assert kept(valkey) == set()
    end.close()


def test_an_order_has_few_answers_and_none_of_any_size(served: Endpoint, valkey: Valkey) -> None:
    end, gateway, order = served.end(served.join("one")), StreamGatewayEnd(valkey.url, DIRECTORY), new_id()
    gateway.send(order, b"body")
    delivery = end.receive(dt.timedelta(seconds=2))
    assert delivery is not None
    assert end.claim(delivery, order)
    with pytest.raises(NotAccepted, match="size"):
        end.answer(delivery, order, b"x" * (LARGEST_ANSWER + 1))
    for _ in range(3 * MOST_ANSWERS):
        end.answer(delivery, order, b"answer")
    (key,) = valkey.client.scan_iter("*answer:*")
    assert valkey.client.llen(key) == MOST_ANSWERS
    assert gateway.answer(order, dt.timedelta(seconds=1)) == b"answer"
    gateway.forget(order, delivery.id)
    end.answer(delivery, order, b"too late")
    # The claim stays until it ends by itself, so that nobody begins the order again.
    assert kept(valkey) == {"orders", f"claim:{order}"}
    gateway.close()
    end.close()


def test_a_heartbeat_has_an_end(served: Endpoint) -> None:
    end = served.end(served.join("one"))
    end.beat(b"x" * LARGEST_BEAT)
    with pytest.raises(NotAccepted, match="size"):
        end.beat(b"x" * (LARGEST_BEAT + 1))
    end.close()
