"""Asking for help: the right people are mailed what the directory knows, and nothing that was typed."""

from collections.abc import Iterator

import pytest

from store.audit import AuditAction
from tests.journeys.conftest import opened
from tests.journeys.test_unknown_name import NAMES, plain
from tests.journeys.world import PageVisitor, World, WorldFactory, heading, solved

START = "/sparekey/contact"
ROLES = {"administrator": ["administrators"], "helpdesk": ["helpdesk"]}


def ask(
    world: World,
    name: str,
    trouble: str = "no_way",
    *,
    browser: PageVisitor | None = None,
    status: int | None = 200,
):
    browser = browser or world.browser()
    page = browser.get(START)
    page.forms[0]["trouble"].force_value(trouble)
    return browser.submit(page, identifier=name, work=solved(page), status=status)


@pytest.fixture(scope="module")
def staffed_world() -> Iterator[World]:
    with opened(roles=ROLES) as world:
        yield world


@pytest.fixture
def staffed(staffed_world: World) -> World:
    staffed_world.begin_anew()
    return staffed_world


def test_the_helpdesk_is_mailed_what_the_directory_knows(staffed: World) -> None:
    page = ask(staffed, "bob@example.org")
    assert heading(page) == "Your request is on its way"
    reference = page.html.find("p", class_="secret").text
    messages = staffed.messages()
    assert [message["to"] for message in messages] == ["frank@example.org"]
    text = messages[0]["text"]
    assert "Bob Baker, bob" in text
    assert "I can use none of the ways" in text
    assert "127.0.0.0/24" in text
    assert reference in text
    assert "bob@example.org" not in text


def test_without_a_helpdesk_the_next_role_is_mailed(open_a_world: WorldFactory) -> None:
    roles = {"administrator": ["administrators"], "user_administrator": ["helpdesk"], "helpdesk": ["nobody"]}
    world = open_a_world(roles=roles)
    ask(world, "bob")
    assert [message["to"] for message in world.messages()] == ["frank@example.org"]


def test_addresses_in_the_settings_come_before_any_role(open_a_world: WorldFactory) -> None:
    world = open_a_world(roles=ROLES, contact={"helpdesk": ["help@example.org", "more@example.org"]})
    ask(world, "bob")
    assert sorted(message["to"] for message in world.messages()) == ["help@example.org", "more@example.org"]


def test_a_name_that_nobody_has_is_mailed_to_nobody_and_kept_in_no_message(staffed: World) -> None:
    for name in ("nobody", "https://evil.example/", "call 0900 now", "*)(uid=*", ""):
        ask(staffed, name, status=None)
    assert staffed.messages() == []


def test_every_name_sees_the_same(staffed: World) -> None:
    seen = {}
    for sort, name in NAMES.items():
        page = ask(staffed, name)
        reference = page.html.find("p", class_="secret").text
        status, fields, body = plain(page, name)
        asked = page.request.params["asked"]
        seen[sort] = (status, fields, body.replace(reference, "").replace(asked, ""))
    assert len({repr(page) for page in seen.values()}) == 1


def test_one_person_is_asked_for_once_in_a_while_whatever_is_typed(staffed: World) -> None:
    ask(staffed, "bob")
    ask(staffed, "bob@example.org")
    staffed.clock.forward(minutes=30)
    ask(staffed, "BOB")
    assert len(staffed.messages()) == 1
    ask(staffed, "alice")
    assert len(staffed.messages()) == 2
    staffed.clock.forward(hours=5)
    ask(staffed, "bob")
    assert len(staffed.messages()) == 3


def test_only_so_many_are_mailed_in_an_hour(open_a_world: WorldFactory) -> None:
    world = open_a_world(roles=ROLES, contact={"per_hour": 2})
    for name in ("alice", "bob", "carol", "dave"):
        ask(world, name)
    assert len(world.messages()) == 2


def test_of_somebody_with_special_rights_the_message_warns(staffed: World) -> None:
    ask(staffed, "erin")
    assert "special rights" in staffed.messages()[0]["text"]


def test_a_name_of_the_directory_brings_no_link_along(
    staffed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = staffed.around.served.entry("uid=bob,ou=people,dc=example,dc=org")
    name = "Bob https://evil.example/ a@evil.example\nHello"
    monkeypatch.setattr(entry, "attributes", {**entry.attributes, "displayName": (name,)})
    ask(staffed, "bob")
    text = staffed.messages()[0]["text"]
    assert "evil" not in text
    assert "Bob" in text


def test_own_helpdesk_is_shown_instead(open_a_world: WorldFactory) -> None:
    world = open_a_world(contact={"own": "https://help.example.org/now"})
    page = world.browser().get(START)
    link = page.html.find("a", class_="button")
    assert (link["href"], link["target"], link["rel"]) == (
        "https://help.example.org/now",
        "_blank",
        ["noopener", "noreferrer"],
    )
    world.browser().app.post(START, {}, status=400)


def test_own_address_is_written_to(open_a_world: WorldFactory) -> None:
    world = open_a_world(contact={"own": "help@example.org"})
    assert world.browser().get(START).html.find("a", class_="button")["href"] == "mailto:help@example.org"


def test_a_form_that_is_switched_off_sends_nothing(open_a_world: WorldFactory) -> None:
    world = open_a_world(roles=ROLES, contact={"form": False})
    browser = world.browser()
    page = browser.get(START)
    assert not page.forms
    token = browser.get("/sparekey/reset").forms[0]["csrf_token"].value
    fields = {"csrf_token": token, "identifier": "bob", "trouble": "other"}
    browser.app.post(START, fields, status=404)


def test_nobody_can_make_the_page_name_a_reference(staffed: World) -> None:
    browser = staffed.browser()
    for made_up in ("", "x", "CALL-EVIL"):
        assert heading(browser.get(f"{START}/sent?asked={made_up}")) == "Whom should we help, and with what?"


def test_pages_that_lead_nowhere_lead_to_it(world: World) -> None:
    browser = world.browser()
    page = browser.start_reset("bob")
    assert page.click("I can use none of these").request.path == START
    page = browser.get("/sparekey/nothing", status=404)
    assert page.click("Ask your organisation for help").request.path == START


def test_who_was_asked_for_is_in_no_audit_row_of_a_stranger(staffed: World) -> None:
    ask(staffed, "bob")
    staffed.work()
    with staffed.sparekey.services.database.reading() as transaction:
        asked = transaction.audit.find(action=AuditAction.CONTACT_ASKED)
        passed_on = transaction.audit.find(action=AuditAction.CONTACT_PASSED_ON)
    assert asked[0].person_id is None
    assert "bob" not in str(asked[0].detail)
    assert passed_on[0].reference == asked[0].reference
