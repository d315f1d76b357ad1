"""Receipts of providers: whom they are believed from, how often, and what they change."""

import json

import pytest

from flows.messaging.call_backs import CallBacks
from flows.messaging.carrier_settings import SmsHttpSettings
from flows.messaging.message import Handed
from flows.messaging.receipts import DeliveryState, Receipts
from flows.messaging.signed import NotAuthentic
from store.audit import AuditAction
from tests.flows.world import START, World
from tests.servers.phone_provider import SECRET, sign

HANDED = Handed("acme", "m-1")
BODY = json.dumps({"id": "m-1", "state": "delivered"}).encode()
AT = int(START.timestamp())


@pytest.fixture
def receipts(world: World) -> Receipts:
    return Receipts(database=world.database, expiring=world.expiring, clock=world.clock)


@pytest.fixture
def call_backs(world: World, receipts: Receipts) -> CallBacks:
    carrier = SmsHttpSettings(name="acme", url="https://sms.example.org/", receipts={"secret": SECRET})
    silent = SmsHttpSettings(name="silent", url="https://sms.example.org/")
    return CallBacks([carrier, silent], receipts=receipts, expiring=world.expiring)


@pytest.fixture
def person(world: World) -> str:
    world.a_person("jane", registered=("email",))
    return world.person_id("jane")


def expect(receipts: Receipts, person: str) -> None:
    receipts.expect(HANDED, person_id=person, reference="7K2M", channel="sms", kind="reset_code")


def headers(body: bytes = BODY, *, at: int = AT, secret: str = SECRET, **more: str) -> dict[str, str]:
    return {"X-Timestamp": str(at), "X-Signature": f"sha256={sign(secret, at, body)}", **more}


def ends(world: World) -> list[tuple[str, str | None, str]]:
    known = (AuditAction.MESSAGE_DELIVERED, AuditAction.MESSAGE_UNDELIVERED)
    return [
        (each.action, each.person_id, each.reference) for action in known for each in world.audited(action)
    ]


def test_a_receipt_tells_in_the_audit_how_a_message_ended(
    world: World, receipts: Receipts, call_backs: CallBacks, person: str
) -> None:
    expect(receipts, person)
    assert call_backs.take("acme", headers(), BODY, now=START)
    assert ends(world) == [(AuditAction.MESSAGE_DELIVERED, person, "7K2M")]


def test_a_receipt_that_was_faster_than_the_answer_counts(
    world: World, receipts: Receipts, call_backs: CallBacks, person: str
) -> None:
    body = json.dumps({"id": "m-1", "state": "undelivered"}).encode()
    call_backs.take("acme", headers(body), body, now=START)
    assert not ends(world)
    expect(receipts, person)
    assert ends(world) == [(AuditAction.MESSAGE_UNDELIVERED, person, "7K2M")]


def test_a_message_ends_once(world: World, receipts: Receipts, person: str) -> None:
    expect(receipts, person)
    for state in (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.DELIVERED):
        receipts.came(HANDED, state)
    assert len(ends(world)) == 1


def test_one_call_back_counts_once(receipts: Receipts, call_backs: CallBacks, person: str) -> None:
    expect(receipts, person)
    call_backs.take("acme", headers(), BODY, now=START)
    again = headers()["X-Signature"]
    for signature in (
        again,
        again.removeprefix("sha256="),
        again.upper().replace("SHA256=", ""),
        f"{again}  ",
    ):
        with pytest.raises(NotAuthentic):
            call_backs.take("acme", {**headers(), "X-Signature": signature}, BODY, now=START)


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"X-Timestamp": str(AT)},
        headers(secret="another secret that nobody gave to us"),
        headers(b"{}"),
        headers(at=AT - 301),
        headers(at=AT + 301),
        {**headers(), "X-Timestamp": str(AT + 1)},
        {**headers(), "X-Timestamp": f"0{AT}"},
        {**headers(), "X-Timestamp": "x" * 10_000},
        {**headers(), "X-Signature": "é" * 64},
        {**headers(), "X-Signature": ""},
    ],
)
def test_nobody_else_is_believed(
    world: World, receipts: Receipts, call_backs: CallBacks, person: str, forged: dict[str, str]
) -> None:
    expect(receipts, person)
    with pytest.raises(NotAuthentic):
        call_backs.take("acme", forged, BODY, now=START)
    assert not ends(world)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"id": "m-1"}',
        b'{"id": "m-1", "state": "sent"}',
        b'{"id": {}}',
        b"[" * 9000,
    ],
)
def test_what_says_nothing_of_an_end_is_passed_over(
    world: World, receipts: Receipts, call_backs: CallBacks, person: str, body: bytes
) -> None:
    expect(receipts, person)
    assert not call_backs.take("acme", headers(body), body, now=START)
    assert not ends(world)


def test_only_providers_with_a_secret_are_known(call_backs: CallBacks) -> None:
    assert [call_backs.is_known(name) for name in ("acme", "silent", "smpp", "")] == [
        True,
        False,
        False,
        False,
    ]
