"""Changing a password by the old one: signed in, or by one more proof where it has expired."""

import datetime as dt

import pytest

from idp_plugin.demo.directory import DemoPasswordPolicy
from idp_plugin.demo.directory_entry import is_password
from store.audit import AuditAction
from tests.journeys.test_unknown_name import plain
from tests.journeys.world import PageVisitor, World, WorldFactory, heading

NEW = "four words not together"
EXPIRED = "/sparekey/change/expired"
NAMES = {
    "known": "bob",
    "with two methods": "grace",
    "unregistered": "alice",
    "outside every policy": "heidi",
    "privileged": "erin",
    "locked": "carol",
    "disabled": "frank",
    "expired": "dave",
    "unknown": "nobody",
    "filter": "*)(uid=*",
}


def old(world: World, username: str = "bob") -> str:
    return world.around.passwords[username]


def has(world: World, password: str, username: str = "bob") -> bool:
    return is_password(password.encode(), world.credential(username).stored)


def at_change(world: World, username: str = "bob") -> PageVisitor:
    """Somebody who is signed in and asked for both passwords."""
    browser = world.browser()
    browser.page = browser.sign_in(username, "/sparekey/change")
    return browser


def expired(world: World, name: str = "dave", *, status: int | None = 200) -> PageVisitor:
    """Somebody who has given the proof and is asked for both passwords."""
    browser = world.browser()
    page = browser.submit(browser.start_reset(name, path=EXPIRED), kind="email")
    browser.page = browser.submit(page, code=world.code(f"{name}.private"), status=status)
    return browser


def test_a_signed_in_person_changes_the_password_by_the_old_one(world: World) -> None:
    browser = at_change(world)
    assert heading(browser.page) == "What should your new password be?"
    page = browser.submit(browser.page, old=old(world), password=NEW)
    assert heading(page) == "Your password was changed"
    assert has(world, NEW)
    assert "bob@example.org" in {message["to"] for message in world.messages()}


def test_afterwards_every_session_is_over(world: World) -> None:
    browser, elsewhere = at_change(world), world.browser()
    elsewhere.sign_in("bob")
    browser.submit(browser.page, old=old(world), password=NEW)
    for each in (browser, elsewhere):
        each.provider_cookies.clear()
        each.credentials = ("bob", NEW)
        answer = each.app.get("/sparekey/", status="*")
        assert "/authorize" in answer.headers["Location"]
    assert heading(world.browser().sign_in("bob", password=NEW)) == "My ways back in"


def test_a_wrong_old_password_changes_nothing_and_is_counted(world: World) -> None:
    browser = at_change(world)
    page = browser.submit(browser.page, old="not it", password=NEW, status=422)
    assert "You can try 2 more times" in page
    assert not has(world, NEW)
    assert heading(browser.submit(page, old=old(world), password=NEW)) == "Your password was changed"


def test_old_passwords_run_out_before_the_directory_locks(world: World) -> None:
    browser = at_change(world)
    for _time in range(3):
        browser.submit(browser.page, old="not it", password=NEW, status=422)
    page = browser.submit(browser.page, old=old(world), password=NEW, status=429)
    assert "That is enough for now" in page
    assert len(world.credential("bob").failures) == 3
    assert world.credential("bob").locked_at is None
    another = at_change(world)
    another.submit(another.page, old=old(world), password=NEW, status=429)
    assert not has(world, NEW)


def test_a_weak_new_password_costs_no_guess(world: World) -> None:
    browser = at_change(world)
    for _time in range(5):
        page = browser.submit(browser.page, old="not it", password="Bob", status=422)
    assert "This one does not fit the rules" in page
    assert world.credential("bob").failures == []


def test_what_the_directory_refuses_costs_none_either(world: World) -> None:
    browser = at_change(world)
    for _time in range(5):
        page = browser.submit(browser.page, old=old(world), password=old(world), status=422)
    assert "None of the" in page
    assert heading(browser.submit(page, old=old(world), password=NEW)) == "Your password was changed"


def test_what_stands_in_the_way_is_said_before_anything_is_typed(open_a_world: WorldFactory) -> None:
    world = open_a_world()
    world.around.served.set_policy(DemoPasswordPolicy(minimum_age=dt.timedelta(days=2)))
    page = world.browser().sign_in("bob", "/sparekey/change", status=403)
    assert "cannot be changed again yet" in page
    assert not page.html.find("input", type="password")


def test_an_administrator_is_told_at_once_that_it_is_not_possible(world: World) -> None:
    page = world.browser().sign_in("erin", "/sparekey/change", status=403)
    assert "special rights" in page


def test_somebody_else_in_the_same_browser_does_not_go_on_with_it(world: World) -> None:
    browser = at_change(world)
    browser.provider_cookies.clear()
    browser.app.set_cookie("sparekey-session", "")
    browser.sign_in("grace")
    browser.submit(browser.page, old=old(world), password=NEW, status=410)
    assert not has(world, NEW)


def test_a_frozen_person_who_knows_the_password_may_still_change_it(world: World) -> None:
    world.register("bob", "email")
    services, subject = world.sparekey.services, world.identity("bob").subject
    with services.database.transaction() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        transaction.people.freeze(person.id, now=world.clock())
    browser = at_change(world)
    assert heading(browser.submit(browser.page, old=old(world), password=NEW)) == "Your password was changed"


def test_the_well_known_address_leads_to_it(world: World) -> None:
    answer = world.browser().app.get("/.well-known/change-password")
    assert answer.headers["Location"].endswith("/sparekey/change")


def test_findings_come_while_typing(world: World) -> None:
    browser = at_change(world)
    token = browser.page.forms[0]["csrf_token"].value
    found = browser.app.post("/sparekey/change/findings", {"password": "x", "csrf_token": token}).json
    assert {"rule": "length_min", "holds": False} in found


def test_a_suggestion_is_typed_in_and_can_be_used(world: World) -> None:
    browser = at_change(world)
    form = next(form for form in browser.page.forms.values() if form.action.endswith("suggestion"))
    page = form.submit()
    suggested = page.html.find("input", id="password")["value"]
    page = browser.submit(page, old=old(world), password=suggested)
    assert heading(page) == "Your password was changed"
    assert has(world, suggested)


def test_an_expired_password_is_changed_by_the_old_one_and_a_proof(world: World) -> None:
    world.register("dave", "email")
    browser = expired(world)
    assert heading(browser.page) == "What should your new password be?"
    page = browser.submit(browser.page, old=old(world, "dave"), password=NEW)
    assert heading(page) == "Your password was changed"
    assert heading(world.browser().sign_in("dave", password=NEW)) == "My ways back in"


def test_it_returns_to_the_original_request(world: World) -> None:
    world.register("dave", "email")
    browser = world.browser()
    page = browser.get("/sparekey/reset?return_to=/authorize%3Fclient_id%3Da")
    page = page.click("My password has expired")
    assert page.request.path == EXPIRED
    page = browser.start_reset("dave", path=page.request.path_qs)
    page = browser.submit(browser.submit(page, kind="email"), code=world.code("dave.private"))
    page = browser.submit(page, old=old(world, "dave"), password=NEW)
    assert page.html.find("a", class_="button")["href"] == f"{world.public}/authorize?client_id=a"


def test_a_password_that_must_be_changed_is_changed_the_same_way(world: World) -> None:
    world.register("bob", "email")
    world.credential("bob").must_change = True
    browser = expired(world, "bob")
    page = browser.submit(browser.page, old=old(world), password=NEW)
    assert heading(page) == "Your password was changed"
    assert not world.credential("bob").must_change


def test_the_directory_is_asked_about_no_old_password_before_the_proof(world: World) -> None:
    world.register("dave", "email")
    browser = world.browser()
    page = browser.submit(browser.start_reset("dave", path=EXPIRED), kind="email")
    token = page.forms[0]["csrf_token"].value
    fields = {"csrf_token": token, "old": "not it", "password": NEW, "again": NEW}
    for address in ("password", "findings", "suggestion"):
        browser.app.post(f"/sparekey/change/{address}", fields, status=303)
    assert world.credential("dave").failures == []


def test_wrong_old_passwords_after_the_proof_never_lock(world: World) -> None:
    world.register("dave", "email")
    for _attempt in range(2):
        browser = expired(world)
        for _time in range(4):
            browser.submit(browser.page, old="not it", password=NEW, status=None)
        world.clock.forward(minutes=2)
    assert len(world.credential("dave").failures) == 3
    assert world.credential("dave").locked_at is None


def test_a_locked_account_is_led_to_the_unlock_after_the_proof(world: World) -> None:
    world.register("carol", "email")
    world.credential("carol").locked_at = world.clock()
    browser = expired(world, "carol", status=403)
    assert "Unlock it first" in browser.page
    assert browser.page.click("Unlock my account").request.path == "/sparekey/unlock"


def test_every_name_sees_the_same_pages(world: World) -> None:
    for username in ("bob", "carol", "dave", "frank", "erin", "heidi"):
        world.register(username, "email")
    world.register("grace", "email", "totp")
    world.credential("frank").is_locked_permanently = True
    world.credential("carol").locked_at = world.clock()
    walks = {sort: _walk(world, name) for sort, name in NAMES.items()}
    unknown = walks.pop("unknown")
    for sort, seen in walks.items():
        assert seen == unknown, sort


def _walk(world: World, name: str) -> list[tuple[int, list[tuple[str, str]], str]]:
    browser = world.browser()
    seen = [browser.start_reset(name, path=EXPIRED)]
    seen.append(browser.submit(seen[-1], kind="email"))
    world.work()
    seen += [browser.submit(browser.get(f"{EXPIRED}/code"), code="000000", status=None) for _try in range(5)]
    seen.append(browser.get("/sparekey/change/password", status=None))
    return [plain(page, name) for page in seen]


def test_two_registered_kinds_ask_for_one_proof_beside_the_old_password(open_a_world: WorldFactory) -> None:
    world = open_a_world(reset=2)
    world.register("dave", "email", "totp")
    browser = expired(world)
    assert heading(browser.submit(browser.page, old=old(world, "dave"), password=NEW)) == (
        "Your password was changed"
    )


def test_an_attempt_to_change_opens_no_page_of_a_reset_and_the_reverse(world: World) -> None:
    world.register("dave", "email")
    world.register("bob", "email")
    browser = expired(world)
    token = browser.page.forms[0]["csrf_token"].value
    fields = {"csrf_token": token, "password": NEW, "again": NEW, "old": "x"}
    browser.app.post("/sparekey/reset/password", fields, status=410)
    another = world.browser()
    page = another.submit(another.reset_until_code("bob"), code=world.code("bob.private"))
    fields["csrf_token"] = page.forms[0]["csrf_token"].value
    another.app.post("/sparekey/change/password", fields, status=410)
    assert not has(world, NEW)
    assert not has(world, NEW, "dave")


def test_the_audit_tells_a_change_from_a_reset(world: World) -> None:
    browser = at_change(world)
    browser.submit(browser.page, old="not it", password=NEW, status=422)
    browser.submit(browser.page, old=old(world), password=NEW)
    with world.sparekey.services.database.reading() as transaction:
        assert len(transaction.audit.find(action=AuditAction.CHANGE_PASSWORD_WRITTEN)) == 1
        assert len(transaction.audit.find(action=AuditAction.CHANGE_OLD_PASSWORD_REFUSED)) == 1
        assert not transaction.audit.find(action=AuditAction.RESET_PASSWORD_WRITTEN)


@pytest.mark.parametrize("field", ["old", "password"])
def test_an_empty_field_says_so(world: World, field: str) -> None:
    browser = at_change(world)
    fields = {"old": old(world), "password": NEW, field: ""}
    page = browser.submit(browser.page, **fields, again=fields["password"], status=422)
    assert page.html.find(id=f"{field}-error")


def test_whoever_is_sent_there_again_goes_on_with_what_was_begun(world: World) -> None:
    browser = at_change(world)
    begun = browser.cookie("attempt")
    page = browser.get("/sparekey/change")
    assert heading(page) == "What should your new password be?"
    assert browser.cookie("attempt") == begun
    assert heading(browser.submit(page, old=old(world), password=NEW)) == "Your password was changed"
