"""Where providers tell how messages ended: no browser, no token, a signature."""

import json
from collections.abc import Iterator

import pytest

from flows.messaging.message import Handed
from store.audit import AuditAction
from tests.journeys.conftest import opened
from tests.journeys.world import World
from tests.servers.phone_provider import KEY, SECRET, PhoneProvider, sign

BODY = json.dumps({"id": "m-1", "state": "delivered"}).encode()
PATH = "/sparekey/messages/receipts/acme"


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    voice = {"name": "acme", "url": "http://127.0.0.1:9/", "key": KEY, "receipts": {"secret": SECRET}}
    messages = {"mail": {"organisation": "Example Company"}, "voice": {"http": voice}}
    with opened(kinds=("email", "mobile_phone"), messages=messages) as world:
        yield world


def told(world: World, body: bytes = BODY, path: str = PATH, **headers: str) -> int:
    at = int(world.clock().timestamp())
    signed = {"X-Timestamp": str(at), "X-Signature": sign(SECRET, at, body), **headers}
    answer = world.browser().app.post(path, body, headers=signed, content_type="application/json", status="*")
    return int(answer.status_int)


def test_a_receipt_is_taken_once_without_a_browser(world: World) -> None:
    services = world.sparekey.services
    receipts = services.call_backs._receipts
    receipts.expect(
        Handed("acme", "m-1"), person_id=None, reference="7K2M", channel="voice", kind="reset_code"
    )
    assert told(world) == 200
    assert told(world) == 403
    with services.database.reading() as transaction:
        (event,) = transaction.audit.find(action=AuditAction.MESSAGE_DELIVERED)
    assert event.reference == "7K2M"


def test_nobody_else_tells_us_anything(world: World) -> None:
    assert told(world, **{"X-Signature": "0" * 64}) == 403
    assert told(world, path="/sparekey/messages/receipts/other") == 404
    assert told(world, b"x" * (20 << 10)) == 413
    assert world.browser().app.get(PATH, status="*").status_int == 405


def test_a_call_ends_as_the_provider_tells(open_a_world, phone_provider: PhoneProvider) -> None:
    voice = {
        "name": "acme",
        "url": phone_provider.url,
        "key": KEY,
        "id_path": "result.ids.0",
        "receipts": {"secret": SECRET, "delivered": ["confirmed"], "failed": ["no_answer", "busy"]},
    }
    messages = {"mail": {"organisation": "Example Company"}, "default_region": "US", "voice": {"http": voice}}
    world = open_a_world(kinds=("email", "office_phone"), messages=messages)
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.submit(browser.get("/sparekey/register/office-phone"), number="+12025550100;ext=12")
    world.work()
    heard = phone_provider.call(presses="#")
    assert heard.dialled == "+12025550100w12"
    code = heard.after_the_key.split(": ")[1].split(".")[0].replace(", ", "")
    assert "Added." in browser.submit(page, code=code)
    body = json.dumps({"id": phone_provider.newest_id, "state": "confirmed"}).encode()
    assert told(world, body) == 200
    with world.sparekey.services.database.reading() as transaction:
        (event,) = transaction.audit.find(action=AuditAction.MESSAGE_DELIVERED)
    assert event.detail["channel"] == "voice"
    assert event.person_id
