"""The way between an application and the gateway, walked by attackers and by people with two tabs."""

from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.forward_auth.hand_over import LONGEST_TARGET
from store.audit import AuditAction
from tests.gateway.forward_auth.around import NOTES, SCRIPT, WIKI, Around
from tests.gateway.forward_auth.direct import Direct, redirect_of, signed_in
from tests.servers.visitor import forms

ARRIVE = "/sparekey/forward-auth/arrive"


def ticket_of(person: Direct, path: str = "/", username: str = "bob") -> str:
    """Return the path of the arrival that a person was given."""
    address = person.to_ticket(redirect_of(person.ask(path)), username)
    assert address.startswith(f"{WIKI}{ARRIVE}?ticket="), address
    return address.removeprefix(WIKI)


def test_a_ticket_is_good_once(around: Around) -> None:
    person = Direct(around)
    ticket = ticket_of(person)
    nonce = dict(person.cookies)
    assert redirect_of(person.ask(ticket)) == f"{WIKI}/"
    assert person.cookies[WIKI].startswith("s.")
    # Somebody who has the whole address, and even the nonce, is too late.
    late = Direct(around, dict(nonce))
    assert redirect_of(late.ask(ticket)) == f"{WIKI}/"
    assert late.cookies == nonce


def test_a_ticket_is_worth_nothing_in_another_browser_and_stays_good_in_its_own(around: Around) -> None:
    person, thief = Direct(around), Direct(around)
    ticket = ticket_of(person)
    thief.ask("/")
    led = redirect_of(thief.ask(ticket))
    assert led.startswith(f"{around.world.public}/sparekey/forward-auth/sign-in")
    assert not thief.cookies[WIKI].startswith("s.")
    assert redirect_of(person.ask(ticket)) == f"{WIKI}/"
    assert person.ask("/", **SCRIPT).headers["remote-user"] == "bob"


def test_nobody_is_signed_in_as_the_attacker(around: Around) -> None:
    # The attacker's own ticket, in a link that the victim opens: the victim's browser lacks the nonce.
    attacker, victim = Direct(around), Direct(around)
    ticket = ticket_of(attacker, username="bob")
    victim.ask("/")
    victim.ask(ticket)
    assert victim.ask("/", **SCRIPT).status_code == 401


def test_a_ticket_for_one_application_opens_no_other(around: Around) -> None:
    person = Direct(around)
    ticket = ticket_of(person)
    person.cookies[NOTES] = person.cookies[WIKI]
    assert redirect_of(person.ask(ticket, origin=NOTES)) == f"{NOTES}/"
    assert person.ask("/", origin=NOTES, **SCRIPT).status_code == 401
    # Nor was it spent there.
    person.ask(ticket)
    assert person.ask("/", **SCRIPT).status_code == 200


def test_a_ticket_lives_a_minute(around: Around) -> None:
    person = Direct(around)
    ticket = ticket_of(person)
    client = around.world.sparekey.services.expiring.client
    left = [client.pttl(key) for key in client.scan_iter() if key.endswith(b":forward_auth_ticket")]
    assert left
    assert all(0 < each <= 60_000 for each in left)
    assert not any(ticket.partition("=")[2].encode() in key for key in client.scan_iter())


def test_two_tabs_arrive_each_where_it_was_going(around: Around) -> None:
    person = Direct(around)
    first, second = redirect_of(person.ask("/one")), redirect_of(person.ask("/two"))
    one = person.to_ticket(first, "bob").removeprefix(WIKI)
    two = person.to_ticket(second, "bob").removeprefix(WIKI)
    assert redirect_of(person.ask(one)) == f"{WIKI}/one"
    session = person.cookies[WIKI]
    assert redirect_of(person.ask(two)) == f"{WIKI}/two"
    assert person.cookies[WIKI] == session


def test_a_browser_that_keeps_no_cookie_is_told_so_and_not_led_in_a_circle(around: Around) -> None:
    person = Direct(around)
    address = redirect_of(person.ask("/"))
    for _round in range(4):
        ticket = person.to_ticket(address, "bob").removeprefix(WIKI)
        person.cookies.clear()
        answer = person.ask(ticket)
        if answer.status_code == 403:
            break
        address = redirect_of(answer)
    assert answer.status_code == 403
    assert "did not keep our cookie" in answer.text


@pytest.mark.parametrize(
    "note", ["", "x", "A" * 300, "AAAA AAAA", "%00", "https://evil.example/", "A" * 20_000]
)
def test_a_note_that_is_not_ours_leads_nowhere(around: Around, note: str) -> None:
    person = signed_in(around)
    assert person.browser
    answer = person.browser.visitor.get(f"{around.world.public}/sparekey/forward-auth/sign-in?for={note}")
    assert answer.status_code in {410, 431}
    assert "location" not in answer.headers


def test_a_note_is_good_for_an_hour(around: Around) -> None:
    services = around.world.sparekey.services
    sealed = parse_qs(urlsplit(redirect_of(Direct(around).ask("/a"))).query)["for"][0]
    now = services.clock()
    assert services.hand_overs.read(sealed, now=now)
    around.world.clock.forward(minutes=61)
    assert services.hand_overs.read(sealed, now=services.clock()) is None


def test_an_address_too_long_to_be_carried_leads_to_the_start(around: Around) -> None:
    person = Direct(around)
    assert person.arrive("bob", "/" + "a" * LONGEST_TARGET) == f"{WIKI}/"
    assert Direct(around).arrive("bob", "/" + "a" * (LONGEST_TARGET - 1)) == f"{WIKI}/{'a' * 1023}"


def test_a_person_who_must_register_comes_back_where_they_were_going(around: Around) -> None:
    person = Direct(around)
    # Led to the registration, which the gate asked for, and nowhere near the application.
    page = person.to_ticket(redirect_of(person.ask("/deep?x=1")), "alice")
    assert page == ""
    assert person.browser
    visitor = person.browser.visitor
    around.world.register("alice", "email")
    registered = visitor.follow(visitor.get(f"{around.world.public}/sparekey/"))
    assert registered.status_code == 200
    (hold,) = [name for _, _, name in visitor.cookies if name.startswith("sparekey-hold-")]
    shown = visitor.get(f"{around.world.public}/sparekey/hold/{hold.removeprefix('sparekey-hold-')}")
    form = next(form for form in forms(shown) if "/hold/" in form.action)
    ticket = redirect_of(visitor.follow(visitor.post(form.action, form.fields), until="https://"))
    assert redirect_of(person.ask(ticket.removeprefix(WIKI))) == f"{WIKI}/deep?x=1"
    assert person.ask("/", **SCRIPT).headers["remote-user"] == "alice"


def test_the_gate_knows_the_application_and_the_way(around: Around) -> None:
    Direct(around).to_ticket(redirect_of(Direct(around).ask("/")), "alice")
    with around.world.sparekey.services.database.transaction() as transaction:
        events = transaction.audit.find(action=AuditAction.SIGN_IN_GATE_INTERRUPTED)
    assert {event.detail["client"] for event in events} == {"wiki.example.org"}
