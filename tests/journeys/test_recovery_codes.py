"""Recovery codes as pages: made, printed or saved, used, made anew."""

import re

from tests.journeys.holding import hold
from tests.journeys.world import PageVisitor, World, heading

ASKED = "Which recovery code do you want to use?"
WRONG = "K7QM4-W2XP9-DT3AB"


def press(browser: PageVisitor, page, action: str):
    """Press the button of the form that leads somewhere."""
    form = next(form for form in page.forms.values() if re.search(action, form.action))
    return browser._follow(form.submit(status="*"), 200)


def codes_on(page) -> list[str]:
    return [item.text for item in page.html.select(".codes li")]


def saved(browser: PageVisitor, page):
    return press(browser, page, r"/recovery-codes/[^/]+$")


def test_codes_are_shown_downloaded_and_saved_and_let_a_held_sign_in_go_on(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = press(browser, browser.get(hold(browser)), "/register/recovery-codes")
    assert heading(page) == "Print or save these codes"
    codes = codes_on(page)
    assert len(codes) == 10
    file = browser.get(page.html.find("a", download=True)["href"])
    assert file.content_type == "text/plain"
    assert file.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert file.headers["Cache-Control"] == "no-store"
    assert [line for line in file.text.splitlines() if line in codes] == codes
    assert codes_on(browser.get(page.request.path_qs)) == codes
    page = saved(browser, page)
    assert heading(page) == "You are all set"


def test_codes_are_gone_once_saved(world: World) -> None:
    browser = world.browser()
    page = press(browser, browser.sign_in("alice", "/sparekey/register"), "/register/recovery-codes")
    address, file = page.request.path_qs, page.html.find("a", download=True)["href"]
    page = saved(browser, page)
    assert "10 codes left" in page
    for gone in (address, file):
        assert heading(browser.get(gone, status=410)) == "Please start again"


def test_opening_and_downloading_bind_nothing(world: World) -> None:
    browser = world.browser()
    page = press(browser, browser.sign_in("alice", "/sparekey/register"), "/register/recovery-codes")
    browser.get(page.html.find("a", download=True)["href"])
    browser.get(page.request.path_qs)
    assert "Nothing is registered yet" in browser.get("/sparekey/")


def test_another_browser_of_the_same_person_sees_no_codes(world: World) -> None:
    browser, other = world.browser(), world.browser()
    page = press(browser, browser.sign_in("alice", "/sparekey/register"), "/register/recovery-codes")
    other.sign_in("alice")
    other.get(page.request.path_qs, status=410)
    other.get(page.html.find("a", download=True)["href"], status=410)


def test_a_code_in_small_letters_without_dashes_resets_the_password(world: World) -> None:
    world.register("bob", "recovery_codes")
    browser = world.browser()
    page = browser.reset_until_code("bob", "recovery_codes")
    assert heading(page) == ASKED
    page = browser.submit(page, code=WRONG, status=422)
    assert "You can try 4 more times" in page
    assert page.forms[0]["code"].value == WRONG
    page = browser.submit(page, code=world.codes["bob"][0].lower().replace("-", " "))
    page = browser.submit(page, password="four words not together")
    assert heading(page) == "Your password was changed"
    told = [message["subject"] for message in world.messages("bob@")]
    assert "A recovery code was used at Example Company" in told
    browser.sign_in("bob", password="four words not together")
    assert "9 codes left" in browser.get("/sparekey/")


def test_half_a_code_is_refused_without_counting(world: World) -> None:
    world.register("bob", "recovery_codes")
    browser = world.browser()
    page = browser.reset_until_code("bob", "recovery_codes")
    for typed in ("", "K7QM4", "123456", "x" * 65, "K7QM4-W2XP9-DT3A\x00"):
        page = browser.submit(page, code=typed, status=422)
        assert page.html.select_one(".summary a")["href"] == "#code"
    assert "You can try 4 more times" in browser.submit(page, code=WRONG, status=422)


def test_a_used_code_is_said_to_be_used(world: World) -> None:
    world.register("bob", "recovery_codes")
    for _once in range(2):
        browser = world.browser()
        page = browser.reset_until_code("bob", "recovery_codes")
        page = browser.submit(page, code=world.codes["bob"][0], status=None)
    assert page.status_int == 422
    assert "This code was used before. Take another one from your list" in page


def test_nobody_is_asked_for_a_recovery_code_in_the_same_words(world: World) -> None:
    world.register("bob", "recovery_codes")
    pages = []
    for name in ("bob", "nobody-at-all"):
        browser = world.browser()
        asked = browser.reset_until_code(name, "recovery_codes")
        refused = browser.submit(asked, code=WRONG, status=422)
        pages.append([re.sub(r'value="[^"]{40,}"', "", page.text) for page in (asked, refused)])
    assert pages[0] == pages[1]


def test_new_codes_need_a_proof_and_a_code_gives_one(world: World) -> None:
    world.register("bob", "recovery_codes")
    browser = world.browser()
    page = press(browser, browser.sign_in("bob", "/sparekey/register"), "/register/recovery-codes")
    assert heading(page) == "Which way do you use to show that it is you?"
    page = browser.submit(page, kind=page.html.find("input", {"name": "kind"})["value"])
    assert heading(page) == ASKED
    page = browser.submit(page, code=world.codes["bob"][0])
    page = press(browser, page, "/register/recovery-codes")
    assert "Your earlier codes stop working" in page
    page = saved(browser, page)
    assert "10 codes left" in page
    assert page.text.count("Recovery codes</strong>") == 1
    told = [message["subject"] for message in world.messages("bob@")]
    assert "New recovery codes were made for your account at Example Company" in told


def test_a_proof_that_ran_out_leads_back_to_the_same_codes(world: World) -> None:
    world.register("bob", "totp", "recovery_codes")
    browser = world.browser()
    page = press(browser, browser.sign_in("bob", "/sparekey/register"), "/register/recovery-codes")
    page = browser.submit(page, kind=page.html.select("input[name=kind]")[0]["value"])
    page = browser.submit(page, code=world.codes["bob"][0], status=None)
    page = press(browser, page, "/register/recovery-codes")
    codes = codes_on(page)
    forget_proofs(world)
    page = saved(browser, page)
    assert heading(page) == "Which way do you use to show that it is you?"
    page = browser.submit(page, kind=page.html.select("input[name=kind]")[0]["value"])
    page = browser.submit(page, code=world.codes["bob"][1])
    assert codes_on(page) == codes
    assert "10 codes left" in saved(browser, page)


def forget_proofs(world: World) -> None:
    """Let the ten minutes of every step-up be over."""
    client = world.sparekey.services.expiring.client
    names = [name for name in client.keys("*") if name.endswith(b":step up")]
    assert names
    client.delete(*names)


def test_who_lost_the_list_may_make_a_new_one_that_waits(world: World) -> None:
    world.register("bob", "recovery_codes")
    browser = world.browser()
    page = press(browser, browser.sign_in("bob", "/sparekey/register"), "/register/recovery-codes")
    page = press(browser, page, "lost=yes")
    assert "Your earlier codes stop working" not in page
    page = saved(browser, page)
    assert page.text.count("10 codes left") == 2
    assert any("was added" in message["subject"] for message in world.messages("bob@"))


def test_the_last_code_leaves_a_word_at_home(world: World) -> None:
    world.register("bob", "recovery_codes")
    services = world.sparekey.services
    with services.database.transaction() as transaction:
        subject = world.identity("bob").subject
        person = transaction.people.by_subject(subject.source, subject.id)
        (own,) = transaction.authenticators.of(person.id)
        kept = re.sub(rb'"unused":\["(\w+)".*?\]', rb'"unused":["\1"]', own.secret)
        transaction.authenticators.change_secret(own.id, lambda _secret: kept)
    browser = world.browser()
    page = browser.reset_until_code("bob", "recovery_codes")
    page = browser.submit(page, code=world.codes["bob"][0])
    page = browser.submit(page, password="four words not together")
    assert heading(page) == "Your password was changed"
    browser.sign_in("bob", password="four words not together")
    page = browser.get("/sparekey/")
    assert "All of them are used" in page
    assert "You have no way back in yet" in page
