import datetime as dt
import re
import time

import pyotp
from babel.dates import format_date

from enforcement.current_policy import adopt
from store.audit import AuditAction
from tests.journeys.holding import APPLICATION, TARGET, hold, portal_session
from tests.journeys.world import PageVisitor, World, heading

PRIVATE = "alice.private@example.net"


def add_address(browser: PageVisitor, page, address: str = PRIVATE):
    """Add an e-mail address from the list's page."""
    page = browser.get(page.html.find("a", class_="add")["href"])
    page = (
        browser.submit(page, suggestion="other", address=address)
        if page.html.find("fieldset")
        else browser.submit(page, address=address)
    )
    browser.world.work()
    return browser.submit(page, code=browser.world.code(address))


def test_a_held_sign_in_goes_on_after_registration(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    address = hold(browser)
    page = browser.get(address)
    assert heading(page) == "How can we help you back in, should you forget your password?"
    assert "Everybody on the staff" in page
    assert "3 times left" in page
    page = add_address(browser, page)
    assert heading(page) == "You are all set"
    assert "Continue to <bdi>app.example.org</bdi>" in page
    answer = page.forms[0].submit()
    assert (answer.status_int, answer.headers["Location"]) == (303, world.public + TARGET)


def test_the_button_that_releases_may_lead_on_to_the_application(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    policy = browser.get(hold(browser)).headers["Content-Security-Policy"]
    assert "form-action 'self' https:" in policy


def test_a_hold_is_released_once(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    page = browser.get(hold(browser))
    page.forms[0].submit(status=303)
    answer = page.forms[0].submit(status=410)
    assert heading(answer) == "This sign-in is finished or too old"


def test_opening_a_hold_releases_nothing(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    address = hold(browser)
    for _time in range(3):
        assert heading(browser.get(address)) == "You are all set"
        browser.app.head(address)
    browser.get(address).forms[0].submit(status=303)


def test_a_parked_answer_is_delivered_as_the_provider_gave_it(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    address = hold(browser, target=f"{TARGET}&prompt=login")
    answer = browser.get(address).forms[0].submit()
    assert answer.headers["Location"] == f"{APPLICATION}/cb?code=secret-code&state=s1"
    assert "X-Upstream" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_hold_without_its_cookie_is_nothing(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    address = hold(browser)
    thief = world.browser()
    thief.sign_in("bob")
    assert heading(thief.get(address, status=410)) == "This sign-in is finished or too old"


def test_a_hold_of_somebody_else_is_not_released(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    mine = browser.get(hold(browser))
    other = hold(browser, subject="somebody-else")
    assert heading(browser.get(other, status=409)) == "This sign-in belongs to another session"
    mine.forms[0].action = other
    assert browser.submit(mine, status=409)


def test_a_hold_of_another_session_of_the_same_person_is_not_released(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    page = browser.get(hold(browser, session_id="another-session"), status=409)
    assert heading(page) == "This sign-in belongs to another session"


def test_later_lets_the_sign_in_go_on_until_it_may_not(world: World) -> None:
    for left in (3, 2, 1):
        browser = world.browser()
        browser.sign_in("alice")
        page = browser.get(hold(browser))
        assert f"{left} time{'s' if left > 1 else ''} left" in page
        later = next(
            form for form in page.forms.values() if form.action.endswith("later") or "/later?" in form.action
        )
        answer = later.submit()
        assert (answer.status_int, answer.headers["Location"]) == (303, world.public + TARGET)
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.get(hold(browser))
    assert "/later" not in page
    assert "You said “later” as often as your organisation lets you" in page
    token = page.forms[0]["csrf_token"].value
    assert heading(browser._follow(browser.app.post("/sparekey/register/later", {"csrf_token": token}), 200))
    with world.sparekey.services.database.reading() as transaction:
        assert len(transaction.audit.find(action=AuditAction.SIGN_IN_GATE_POSTPONED)) == 3


DATED = """
[[rules]]
name = "Everybody on the staff"
kinds = ["email"]
[rules.who]
everyone = true
[rules.postpone]
times = 3
until = {until}
"""


def test_a_last_day_is_told_and_once_it_is_over_why_it_can_wait_no_longer(open_a_world) -> None:
    world = open_a_world()
    browser = world.browser()
    browser.sign_in("alice")
    held, today = hold(browser), world.clock().date()
    for until, said in (
        (today + dt.timedelta(days=2), "3 times left, until {}"),
        (today - dt.timedelta(days=1), "This could wait until {}"),
    ):
        in_force(world, DATED.format(until=until.isoformat()))
        page = browser.get(held)
        assert said.format(format_date(until, "long", "en")) in page
    assert "/later" not in page


def in_force(world: World, document: str) -> None:
    """Put a policy in force, and wait until the gate knows it."""
    services = world.sparekey.services
    version = adopt(services.database, document, author="tests", now=world.clock()).version
    while services.gate.current_policy().version < version:
        time.sleep(0.05)


def test_what_is_registered_is_confirmed_by_one_click(world: World) -> None:
    world.register("grace", "email", days_ago=400)
    browser = world.browser()
    browser.sign_in("grace")
    page = browser.get(hold(browser))
    assert heading(page) == "Can you still use these?"
    assert "g•••@e•••.net" in page
    answer = page.forms[0].submit()
    assert (answer.status_int, answer.headers["Location"]) == (303, world.public + TARGET)
    assert heading(browser.get("/sparekey/register")) == "Your ways back in"


def test_an_app_is_added_by_its_picture_or_its_letters(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.get(hold(browser))
    add = next(form for form in page.forms.values() if "/register/totp" in form.action)
    page = browser._follow(add.submit(), 200)
    assert page.html.select_one(".qr svg path")
    assert "otpauth" not in page
    secret = page.html.select_one(".secret").text
    assert re.fullmatch(r"[A-Z2-7]{4}( [A-Z2-7]{1,4})+", secret)
    page = browser.submit(page, code="000000", status=422)
    assert page.html.select_one(".secret").text == secret
    page = browser.submit(page, code=pyotp.TOTP(secret.replace(" ", "")).at(world.clock()))
    assert heading(page) == "You are all set"


def test_the_directorys_own_addresses_are_offered(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in("alice", "/sparekey/register/email")
    offered = [option["value"] for option in page.html.select("input[name=suggestion]")]
    assert offered in ([], ["alice@example.org", "other"])


def test_an_address_that_is_none_is_refused_beside_its_field(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in("alice", "/sparekey/register/email")
    for typed in ("", "alice", "a@b@c", "a b@example.org", "<x>@example.org", "a" * 300 + "@example.org"):
        answer = browser.submit(page, address=typed, status=422)
        assert answer.html.select_one(".summary a")["href"] == "#address", typed
    assert world.messages() == []


def test_adding_another_needs_a_proof_of_an_existing_one(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    page = browser.get("/sparekey/register/email")
    assert heading(page) == "Which way do you use to show that it is you?"
    page = browser.submit(page, kind=page.html.find("input", {"name": "kind"})["value"])
    assert "b•••@e•••.net" in page
    page = browser.submit(page, code=world.code("bob.private"))
    assert heading(page) == "Where should we send a code when you need one?"
    page = browser.submit(page, address="bob.second@example.net")
    page = browser.submit(page, code=world.code("bob.second"))
    assert heading(page) == "Your ways back in"
    assert "Added." in page
    assert any("bob.private" in message["to"] for message in world.messages()[:4])


def test_a_wrong_proof_opens_nothing(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    page = browser.get("/sparekey/register/email")
    page = browser.submit(page, kind=page.html.find("input", {"name": "kind"})["value"])
    browser.submit(page, code="000000", status=422)
    page = browser.get("/sparekey/register/email")
    assert heading(page) == "Which way do you use to show that it is you?"


def test_who_lost_every_way_may_add_a_new_one_that_waits(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    page = browser.get("/sparekey/register/prove?then=email")
    page = browser.get(next(link["href"] for link in page.html.select("a.way-out") if "lost" in link["href"]))
    page = browser.submit(page, address="bob.new@example.net")
    page = browser.submit(page, code=world.code("bob.new"))
    assert heading(page) == "Your ways back in"
    assert any("bob.private" in message["to"] for message in world.messages()[:4])


def test_the_last_way_is_kept_and_another_can_be_removed(world: World) -> None:
    world.register("frank", "email", "totp")
    browser = world.browser()
    page = browser.sign_in("frank", "/sparekey/register")
    address = next(
        link["href"] for link in page.html.select(".row-actions a") if link["href"].endswith("remove")
    )
    page = browser.submit(browser.get(address))
    assert heading(page) == "Which way do you use to show that it is you?"
    kinds = page.html.select("input[name=kind]")
    page = browser.submit(page, kind=kinds[1]["value"])
    page = browser.submit(page, code=pyotp.TOTP(world.seeds["frank"]).at(world.clock()))
    assert heading(page).startswith("Remove E-mail f•••")
    page = browser.submit(page)
    assert "f•••" not in page
    address = next(
        link["href"] for link in page.html.select(".row-actions a") if link["href"].endswith("remove")
    )
    assert heading(browser.submit(browser.get(address), status=409)) == "You need this one"


def test_this_was_not_me_freezes_by_a_button_and_not_by_the_link(world: World) -> None:
    browser = world.browser()
    add_address(browser, browser.sign_in("alice", "/sparekey/register"))
    text = next(message["text"] for message in world.messages() if "/not-me/" in message["text"])
    path = re.search(r"/sparekey/not-me/\S+", text)
    assert path
    stranger = world.browser()
    for _scan in range(3):
        page = stranger.get(path[0])
        stranger.app.head(path[0])
    assert heading(page) == "Was this not you?"
    assert not frozen(world, "alice")
    assert heading(stranger.submit(page)) == "It is stopped"
    assert frozen(world, "alice")
    world.clock.forward(seconds=1)
    assert "Account recovery is stopped" in browser.get("/sparekey/register")


def test_a_made_up_notice_reference_stops_nothing(world: World) -> None:
    page = world.browser().get("/sparekey/not-me/made-up", status=410)
    assert heading(page) == "This link is too old"


def frozen(world: World, username: str) -> bool:
    subject = world.identity(username).subject
    with world.sparekey.services.database.reading() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
    assert person
    return person.frozen_at is not None


def test_home_tells_what_is_registered_and_what_happened(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.sign_in("bob")
    assert "b•••@e•••.net" in page
    assert "You signed in here" in page


def test_signing_out_ends_the_portal_session(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    browser.sign_in("bob")
    token = browser.cookie("session")
    page = browser.get("/sparekey/oidc/logout")
    page.forms[0].submit(status=303)
    services = world.sparekey.services
    assert services.portal_sessions.read(token, now=world.clock()) is None
    assert not browser.cookie("session")


def test_signing_in_again_ends_the_session_before(world: World) -> None:
    browser = world.browser()
    browser.sign_in("bob")
    first, services = browser.cookie("session"), world.sparekey.services
    address = services.signin.begin("/sparekey/", browser=browser_digest_of(browser), now=world.clock())
    callback = browser._through_provider(address)
    browser.app.get(callback.removeprefix(world.public), status=303)
    assert browser.cookie("session") != first
    assert services.portal_sessions.read(first, now=world.clock()) is None
    assert portal_session(browser).username == "bob"


def browser_digest_of(browser: PageVisitor) -> str:
    return browser.world.sparekey.services.vault.digest(browser.cookie("browser"), "browser")


def test_a_portal_session_lasts_half_an_hour(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.sign_in("bob", "/sparekey/register")
    assert portal_session(browser).username == "bob"
    world.clock.forward(minutes=30, seconds=1)
    token = page.forms[0]["csrf_token"].value
    answer = browser.app.post("/sparekey/register/confirm", {"csrf_token": token}, status=401)
    assert heading(answer) == "Please sign in again"
