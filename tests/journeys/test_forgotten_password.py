import pyotp
import pytest

from store.audit import AuditAction
from tests.journeys.world import PageVisitor, World, WorldFactory, heading, solved

NEW = "four words not together"
BOB = "bob.private@example.net"


def forget(world: World) -> PageVisitor:
    """Bob, whose attempt stands at the code."""
    world.register("bob", "email")
    browser = world.browser()
    browser.page = browser.reset_until_code("bob")
    return browser


def test_a_forgotten_password_is_reset_by_a_mailed_code(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.start_reset("bob", path="/sparekey/reset?return_to=/authorize%3Fclient_id%3Da")
    assert heading(page) == "How do you want to prove that it is you?"
    page = browser.submit(page, kind="email")
    page = browser.submit(page, code=world.code(BOB))
    page = browser.submit(page, password=NEW)
    assert heading(page) == "Your password was changed"
    assert page.html.find("a", class_="button")["href"] == f"{world.public}/authorize?client_id=a"
    assert heading(world.browser().sign_in("bob", password=NEW)) == "My ways back in"


def test_a_forgotten_password_is_reset_by_an_app(world: World) -> None:
    world.register("carol", "email", "totp")
    browser = world.browser()
    page = browser.reset_until_code("carol", "totp")
    assert heading(page) == "Which code does your app show?"
    page = browser.submit(page, code=pyotp.TOTP(world.seeds["carol"]).at(world.clock()))
    assert heading(page) == "What should your new password be?"


def test_two_proofs_are_asked_one_after_the_other(open_a_world: WorldFactory) -> None:
    world = open_a_world(reset=2)
    world.register("carol", "email", "totp")
    browser = world.browser()
    page = browser.reset_until_code("carol")
    assert "Proof 1 of 2" in page
    page = browser.submit(page, code=world.code("carol.private"))
    assert "Proof 2 of 2" in page
    assert "Get a code by e-mail" not in page
    page = browser.submit(page, kind="totp")
    page = browser.submit(page, code=pyotp.TOTP(world.seeds["carol"]).at(world.clock()))
    assert heading(page) == "What should your new password be?"


def test_a_code_pasted_with_a_blank_is_taken(world: World) -> None:
    browser = forget(world)
    code = world.code(BOB)
    page = browser.submit(browser.page, code=f" \u200e{code[:3]} {code[3:]}\u00a0")
    assert heading(page) == "What should your new password be?"


def test_something_that_is_no_code_is_not_counted_as_a_wrong_answer(world: World) -> None:
    browser = forget(world)
    page = browser.page
    for _try in range(9):
        page = browser.submit(page, code="12345", status=422)
    assert "Enter the 6 digits of the code" in page
    assert heading(browser.submit(page, code=world.code(BOB))) == "What should your new password be?"


def test_a_wrong_code_keeps_the_page_and_counts_down(world: World) -> None:
    browser = forget(world)
    page = browser.submit(browser.page, code=other(world.code(BOB)), status=422)
    assert "You can try 4 more times" in page
    assert page.html.title.text.startswith("Error:")
    assert page.html.find("input", id="code")["aria-invalid"] == "true"
    assert page.html.select_one(".summary a")["href"] == "#code"


def test_the_fifth_wrong_code_ends_the_attempt(world: World) -> None:
    browser = forget(world)
    page, code = browser.page, world.code(BOB)
    for _try in range(4):
        page = browser.submit(page, code=other(code), status=422)
    assert heading(browser.submit(page, code=other(code), status=410)) == "Please start again"
    assert heading(browser.get("/sparekey/reset/code", status=410)) == "Please start again"


def test_a_newer_code_voids_the_older(world: World) -> None:
    browser = forget(world)
    older = world.code(BOB)
    world.clock.forward(seconds=61)
    page = browser.submit(browser.get("/sparekey/reset/code"), 1)
    newer = world.code(BOB)
    assert newer != older
    browser.submit(page, code=older, status=422)
    assert heading(browser.submit(page, code=newer)) == "What should your new password be?"


def test_another_code_is_not_sent_at_once(world: World) -> None:
    browser = forget(world)
    page = browser.submit(browser.page, 1, status=429)
    assert "You can ask for another code in 1 minute" in page
    assert len(world.messages(BOB)) == 1


def test_a_code_is_worth_nothing_after_five_minutes(world: World) -> None:
    browser = forget(world)
    code = world.code(BOB)
    world.clock.forward(minutes=5, seconds=1)
    assert "no longer good" in browser.submit(browser.page, code=code, status=422)


def test_a_code_is_worth_nothing_in_another_browser(world: World) -> None:
    browser = forget(world)
    thief = world.browser()
    thief.app.set_cookie("sparekey-attempt", browser.cookie("attempt"))
    assert heading(thief.get("/sparekey/reset/code", status=410)) == "Please start again"


def test_an_attempt_is_over_after_a_quarter_of_an_hour(world: World) -> None:
    browser = forget(world)
    world.clock.forward(minutes=15, seconds=1)
    page = browser.submit(browser.page, code="123456", status=410)
    assert heading(page) == "Please start again"
    assert page.html.find("a", class_="button")["href"] == "/sparekey/reset"


def test_a_second_tab_goes_on_where_the_first_one_stands(world: World) -> None:
    browser = forget(world)
    browser.submit(browser.page, code=world.code(BOB))
    for address in ("choose", "code", "resume"):
        assert heading(browser.get(f"/sparekey/reset/{address}")) == "What should your new password be?"
    assert heading(browser.submit(browser.page, code="123456")) == "What should your new password be?"


def test_the_back_button_after_the_end_shows_the_end(world: World) -> None:
    browser = forget(world)
    page = browser.submit(browser.page, code=world.code(BOB))
    browser.submit(page, password=NEW)
    assert heading(browser.submit(page, password="yet another one")) == "Your password was changed"
    assert heading(browser.get("/sparekey/reset/code")) == "Your password was changed"
    written = world.sparekey.services
    with written.database.reading() as transaction:
        assert len(transaction.audit.find(action=AuditAction.RESET_PASSWORD_WRITTEN)) == 1


def test_a_weak_password_is_refused_with_the_rule_it_breaks(world: World) -> None:
    browser = forget(world)
    page = browser.submit(browser.page, code=world.code(BOB))
    page = browser.submit(page, password="Bob", status=422)
    fails = [item["data-rule"] for item in page.html.select(".rules .fails")]
    assert {"length_min", "not_name"} <= set(fails)
    assert "Bob" not in page.html.find("input", id="password").get("value", "")


def test_two_different_passwords_are_refused_where_no_script_shows_them(world: World) -> None:
    browser = forget(world)
    page = browser.submit(browser.page, code=world.code(BOB))
    assert "The two passwords differ" in browser.submit(page, password=NEW, again="other", status=422)


def test_findings_come_while_typing_and_only_after_the_proof(world: World) -> None:
    browser = forget(world)
    token = browser.page.forms[0]["csrf_token"].value
    ask = {"password": "short", "csrf_token": token}
    early = browser.app.post("/sparekey/reset/findings", ask, status="*")
    assert early.status_int == 303
    browser.submit(browser.page, code=world.code(BOB))
    found = browser.app.post("/sparekey/reset/findings", ask).json
    assert {"rule": "length_min", "holds": False} in found


def test_findings_have_a_limit_for_each_attempt(world: World) -> None:
    browser = forget(world)
    browser.submit(browser.page, code=world.code(BOB))
    services = world.sparekey.services
    attempt = services.reset.read(
        browser.cookie("attempt"), browser=browser.cookie("browser"), now=world.clock()
    )
    for _candidate in range(services.settings.limits.findings_per_minute):
        services.reset.count_finding(attempt, world.clock())
    ask = {"password": "short", "csrf_token": browser.page.forms[0]["csrf_token"].value}
    for page in ("findings", "suggestion"):
        refused = browser.app.post(f"/sparekey/reset/{page}", ask, status=429)
        assert 0 < int(refused.headers["Retry-After"]) <= 60
    world.clock.forward(minutes=1)
    assert browser.app.post("/sparekey/reset/findings", ask).json


def test_opening_every_page_again_changes_nothing(world: World) -> None:
    browser = forget(world)
    before = world.messages()
    for _time in range(3):
        for address in ("", "/wait", "/choose", "/code", "/resume", "/done"):
            browser.get(f"/sparekey/reset{address}", status=None)
            browser.app.head(f"/sparekey/reset{address}", status="*")
    assert world.messages() == before
    assert heading(browser.submit(browser.page, code=world.code(BOB))) == "What should your new password be?"


@pytest.mark.parametrize("work", ["", "x", "wait.", "e30=", "bnVsbA==", "MQ==", "W10=", "A" * 5000])
def test_without_work_nothing_starts(world: World, work: str) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset")
    answer = browser.submit(page, identifier="bob", work=work, ticket="", status=422)
    assert "The check for robots did not come through" in answer
    assert not browser.cookie("attempt")


def test_without_a_script_the_page_waits_on_the_servers_clock(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.get("/sparekey/reset"), identifier="bob")
    assert heading(page) == "One moment, please"
    assert page.html.find("meta", {"http-equiv": "refresh"})["content"] == "20"
    early = browser.submit(page)
    assert heading(early) == "One moment, please"
    world.clock.forward(seconds=21)
    assert "bob" not in early.request.url
    page = browser.get(early.request.path_qs)
    assert heading(page) == "Thank you for waiting"
    assert heading(browser.submit(page)) == "How do you want to prove that it is you?"


def test_what_was_put_off_belongs_to_its_browser(world: World) -> None:
    browser = world.browser()
    page = browser.submit(browser.get("/sparekey/reset"), identifier="bob")
    address = page.request.path_qs
    assert heading(world.browser().get(address)) == "What name do you sign in with?"
    for made_up in ("", "x", "AAAA", "%E9", "A" * 20_000, address.partition("kept=")[2][:-1]):
        page = browser.get(f"/sparekey/reset/wait?kept={made_up}")
        assert heading(page) == "What name do you sign in with?"


def test_work_is_good_for_one_attempt_and_one_place(world: World) -> None:
    page = world.browser().get("/sparekey/reset")
    work = solved(page)
    elsewhere = world.browser("198.51.100.7")
    elsewhere.submit(elsewhere.get("/sparekey/reset"), identifier="bob", work=work, status=422)
    here = world.browser()
    here.submit(here.get("/sparekey/reset"), identifier="bob", work=work)
    again = world.browser()
    again.submit(again.get("/sparekey/reset"), identifier="bob", work=work, status=422)


def other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"
