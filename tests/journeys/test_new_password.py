"""The page that asks for a new password, without a script."""

import re

import pytest

from flows.passwords.breaches import BreachesUnavailable
from store.audit import AuditAction
from tests.journeys.world import PageVisitor, World, heading

BOB = "bob.private"
GOOD = "four words not together"


def at_new_password(world: World) -> PageVisitor:
    world.register("bob", "email")
    browser = world.browser()
    browser.page = browser.submit(browser.reset_until_code("bob"), code=world.code(BOB))
    return browser


def field(browser: PageVisitor, name: str) -> dict[str, str]:
    return dict(browser.page.html.find("input", attrs={"name": name}).attrs)


def suggest(browser: PageVisitor) -> str:
    browser.page = browser.page.forms["suggestion"].submit()
    return field(browser, "password")["value"]


def test_a_suggestion_is_typed_in_shown_once_and_accepted(world: World) -> None:
    browser = at_new_password(world)
    made = suggest(browser)
    assert re.fullmatch(r"[a-z]{6}(-[a-z]{6}){2}", made)
    assert field(browser, "password")["type"] == "text"
    assert field(browser, "again")["value"] == made
    assert "54 bits" in browser.page.text
    assert not browser.page.html.select(".rules .fails")
    done = browser.submit(browser.page, password=made)
    assert heading(done) == "Your password was changed"


def test_a_suggestion_is_kept_nowhere(world: World) -> None:
    browser = at_new_password(world)
    made = suggest(browser)
    assert suggest(browser) != made
    browser.page = browser.get("/sparekey/reset/suggestion")
    assert heading(browser.page) == "What should your new password be?"
    assert made not in browser.page
    assert field(browser, "password")["value"] == ""


def test_a_suggestion_is_made_only_after_the_proof_and_by_a_form_of_ours(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.reset_until_code("bob")
    token = page.forms[0]["csrf_token"].value
    early = browser.app.post("/sparekey/reset/suggestion", {"csrf_token": token}, status="*")
    assert early.status_int == 303
    browser.submit(page, code=world.code(BOB))
    assert browser.app.post("/sparekey/reset/suggestion", {}, status="*").status_int in {400, 403}


def test_password_managers_find_what_they_look_for(world: World) -> None:
    browser = at_new_password(world)
    new = field(browser, "password")
    assert new["autocomplete"] == "new-password"
    assert new["passwordrules"].startswith("minlength: 8;")
    assert "onpaste" not in new
    assert field(browser, "username") | {"autocomplete": "username", "value": "bob"} == field(
        browser, "username"
    )


def test_the_reason_stands_on_the_page_that_refuses(world: World) -> None:
    browser = at_new_password(world)
    page = browser.submit(browser.page, password="Passw0rd", status=422)
    assert "Too close to “password”, which is tried early." in page
    assert [item["data-rule"] for item in page.html.select(".rules .fails")] == ["not_banned"]
    assert "Passw0rd" not in page


@pytest.mark.parametrize(
    "password",
    ["a" * 10_000, "gr7m\x00vqpz", "gr7mvqpz\ufffd", "p\u200bassword", "e\u0301" * 3, "P@$$w0rd"],
)
def test_odd_text_gets_findings_and_a_clear_refusal(world: World, password: str) -> None:
    browser = at_new_password(world)
    token = browser.page.forms[0]["csrf_token"].value
    found = browser.app.post("/sparekey/reset/findings", {"password": password, "csrf_token": token}).json
    assert any(each["holds"] is False for each in found)
    fields = {"password": password, "again": password, "csrf_token": token}
    refused = browser.app.post("/sparekey/reset/password", fields, status=422)
    assert heading(refused) == "What should your new password be?"


def test_findings_ask_no_list_and_a_submission_asks_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Down:
        def have(self, candidate: str) -> bool:
            asked.append(candidate)
            raise BreachesUnavailable("status 503")

    browser = at_new_password(world)
    services = world.sparekey.services
    monkeypatch.setattr(services.reset._password_write._rules, "_breaches", Down())
    token = browser.page.forms[0]["csrf_token"].value
    for end in range(1, len(GOOD) + 1):
        browser.app.post("/sparekey/reset/findings", {"password": GOOD[:end], "csrf_token": token})
    suggest(browser)
    assert asked == []
    assert heading(browser.submit(browser.page, password=GOOD)) == "Your password was changed"
    assert asked == [GOOD]
    with services.database.reading() as transaction:
        (event,) = transaction.audit.find(action=AuditAction.PASSWORD_BREACHES_UNASKED)
    assert event.detail == {"why": "status 503"}
