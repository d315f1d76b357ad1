import pytest

from tests.journeys.test_unknown_name import NAMES, plain
from tests.journeys.world import PageVisitor, World, WorldFactory, heading

CAROL = "carol.private@example.net"
START = "/sparekey/unlock"


@pytest.fixture
def locked(world: World) -> World:
    world.register("carol", "email", "totp")
    world.credential("carol").locked_at = world.clock()
    return world


def until_button(world: World, name: str = "carol") -> PageVisitor:
    browser = world.browser()
    page = browser.submit(browser.start_reset(name, path=START), kind="email")
    browser.page = browser.submit(page, code=world.code(f"{name}.private"))
    return browser


def test_the_start_page_leads_to_it(locked: World) -> None:
    browser = locked.browser()
    page = browser.get("/sparekey/reset?return_to=/authorize%3Fclient_id%3Da")
    page = page.click("I know my password, but my account is locked")
    assert page.request.path == START
    assert heading(page) == "What name do you sign in with?"
    assert "Unlock your account" in page
    assert page.forms[0]["return_to"].value == "/authorize?client_id=a"
    assert page.click("I do not know my password").request.path == "/sparekey/reset"


def test_a_locked_account_is_opened_and_its_password_works(locked: World) -> None:
    browser = until_button(locked)
    assert heading(browser.page) == "Shall we unlock your account?"
    page = browser.submit(browser.page)
    assert heading(page) == "You can sign in again"
    assert "Your directory account was unlocked." in page
    assert "The sign-in page" not in page
    assert heading(locked.browser().sign_in("carol")) == "My ways back in"
    assert "was unlocked" in locked.messages("carol@example.org")[0]["text"]


def test_what_is_not_locked_says_so_and_tells_nobody(world: World) -> None:
    world.register("bob", "email")
    browser = until_button(world, "bob")
    before = len(world.messages())
    page = browser.submit(browser.page)
    assert heading(page) == "Your account was not locked"
    assert "Your directory account was not locked." in page
    assert len(world.messages()) == before


def test_opening_pages_changes_nothing(locked: World) -> None:
    browser = until_button(locked)
    for address in ("", "/wait", "/choose", "/code", "/resume", "/confirm", "/done"):
        browser.get(f"{START}{address}", status=None)
    assert locked.credential("carol").locked_at is not None
    assert heading(browser.submit(browser.page)) == "You can sign in again"


def test_the_button_twice_shows_the_end(locked: World) -> None:
    browser = until_button(locked)
    page = browser.page
    browser.submit(page)
    assert heading(browser.submit(page)) == "You can sign in again"


def test_what_an_administrator_closed_stays_closed_and_says_so(locked: World) -> None:
    browser = until_button(locked)
    locked.credential("carol").is_locked_permanently = True
    page = browser.submit(browser.page, status=403)
    assert "An administrator locked this account" in page
    assert locked.credential("carol").is_locked_permanently


def test_an_attempt_to_unlock_opens_no_page_of_a_reset(locked: World) -> None:
    browser = until_button(locked)
    token = browser.page.forms[0]["csrf_token"].value
    for address in ("choose", "code", "password", "resume", "done"):
        browser.get(f"/sparekey/reset/{address}", status=410)
    for address in ("password", "findings"):
        fields = {"csrf_token": token, "password": "four words not together"}
        browser.app.post(f"/sparekey/reset/{address}", fields, status=410)
    assert heading(browser.get(f"{START}/resume")) == "Shall we unlock your account?"


def test_an_attempt_to_reset_opens_no_page_of_an_unlock(locked: World) -> None:
    browser = locked.browser()
    page = browser.submit(browser.reset_until_code("carol"), code=locked.code(CAROL))
    token = page.forms[0]["csrf_token"].value
    for address in ("choose", "code", "confirm", "resume", "done"):
        browser.get(f"{START}/{address}", status=410)
    browser.app.post(f"{START}/confirm", {"csrf_token": token}, status=410)
    assert locked.credential("carol").locked_at is not None


def test_without_a_script_the_page_waits(locked: World) -> None:
    browser = locked.browser()
    page = browser.submit(browser.get(START), identifier="carol")
    assert heading(page) == "One moment, please"
    address = page.request.path_qs
    assert address.startswith(f"{START}/wait")
    elsewhere = browser.get(address.replace(START, "/sparekey/reset"))
    assert heading(elsewhere) == "What name do you sign in with?"
    locked.clock.forward(seconds=21)
    assert heading(browser.submit(browser.get(address))) == "How do you want to prove that it is you?"


def test_every_name_sees_the_same_pages(locked: World) -> None:
    locked.register("bob", "email")
    locked.register("frank", "email")
    locked.register("erin", "email")
    locked.credential("frank").is_locked_permanently = True
    walks = {sort: _walk(locked, name) for sort, name in NAMES.items()}
    unknown = walks.pop("unknown")
    for sort, seen in walks.items():
        assert seen == unknown, sort


def _walk(world: World, name: str) -> list[tuple[int, list[tuple[str, str]], str]]:
    browser = world.browser()
    seen = [browser.start_reset(name, path=START)]
    seen.append(browser.submit(seen[-1], kind="email"))
    world.work()
    seen += [browser.submit(browser.get(f"{START}/code"), code="000000", status=None) for _try in range(5)]
    seen.append(browser.get(f"{START}/confirm", status=None))
    return [plain(page, name) for page in seen]


def test_what_the_policy_allows_nobody_has_no_page(open_a_world: WorldFactory) -> None:
    world = open_a_world(unlock_allowed=False)
    browser = world.browser()
    assert "my account is locked" not in browser.get("/sparekey/reset")
    assert heading(browser.get(START, status=404)) == "There is no such page"
    browser.app.post(START, {}, status=400)
