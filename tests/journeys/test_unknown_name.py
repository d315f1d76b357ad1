"""A stranger learns nothing (S4): every name walks the same pages."""

import re
from collections.abc import Callable

import pytest
from webtest import TestResponse

from tests.journeys.world import PageVisitor, World

NAMES = {
    "known": "bob",
    "with two methods": "grace",
    "unregistered": "alice",
    "outside every policy": "heidi",
    "privileged": "erin",
    "locked": "carol",
    "disabled": "dave",
    "disabled and privileged": "frank",
    "unknown": "nobody",
    "known by mail address": "bob@example.org",
    "unknown by mail address": "nobody@example.org",
    "filter": "*)(uid=*",
}
SORTS = ("known", "unknown", "locked", "disabled", "unregistered", "outside every policy")
Way = Callable[[World, str, str], list[tuple[int, list[tuple[str, str]], str]]]
TOKENS = re.compile(r'(name="(?:csrf_token|ticket)"[^>]*value=")[^"]*|(data-work=")[^"]*')


def plain(page: TestResponse, name: str) -> tuple[int, list[tuple[str, str]], str]:
    """Status, header fields and body, without what is random or was typed."""
    fields = [
        (field, re.sub("=[^;]*", "", value, count=1) if field == "Set-Cookie" else value)
        for field, value in page.headerlist
        if field != "Content-Length"
    ]
    return page.status_int, fields, TOKENS.sub(r"\1\2", page.text).replace(f'value="{name}"', "")


def walk(world: World, name: str, path: str) -> list[tuple[int, list[tuple[str, str]], str]]:
    """Every answer that a stranger gets who types a name, redirects and refusals included."""
    browser, begun = world.browser(), world.clock.now
    seen = recorded(browser)
    browser.start_reset(name, path=path)
    for kind in ("email", "totp"):
        browser.submit(browser.get(f"{path}/choose"), kind=kind)
        world.work()
        world.clock.forward(seconds=5)
        page = browser.get(f"{path}/code")
        browser.submit(page, code="000000", status=None)
        if kind == "email":
            browser.submit(page, 1, status=None)
    browser.submit(browser.get(f"{path}/choose"), kind="email", status=None)
    for page in ("resume", "over", "wait", "password", "confirm", "done"):
        browser.get(f"{path}/{page}", status=None)
    for _try in range(4):
        if browser.submit(browser.get(f"{path}/code"), code="000000", status=None).status_int == 410:
            break
    for page in ("choose", "code", "resume", "over", "password", "confirm", "done"):
        browser.get(f"{path}/{page}", status=None)
    browser.submit(browser.start_reset(name, path=path), kind="totp", status=None)
    # Pages tell the time: everybody walks at the same.
    world.clock.now = begun
    return [plain(page, name) for page in seen]


def use_up_the_codes(world: World, name: str, path: str) -> list[tuple[int, list[tuple[str, str]], str]]:
    """Every answer to whoever asks for one code after the other, until no more are sent."""
    browser, begun = world.browser(), world.clock.now
    seen = recorded(browser)
    for _code in range(6):
        browser.submit(browser.start_reset(name, path=path), kind="email", status=None)
        world.work()
        world.clock.forward(seconds=61)
    world.clock.now = begun
    return [plain(page, name) for page in seen]


def recorded(browser: PageVisitor) -> list[TestResponse]:
    """Return a list that every answer to a browser is put on."""
    seen: list[TestResponse] = []
    ask = browser.app.do_request

    def ask_and_keep(*arguments: object, **more: object) -> TestResponse:
        seen.append(ask(*arguments, **more))
        return seen[-1]

    browser.app.do_request = ask_and_keep
    return seen


@pytest.fixture
def world_of_all_sorts(world: World) -> World:
    world.register("bob", "email")
    world.register("carol", "email")
    world.register("grace", "email", "totp")
    world.register("frank", "email")
    world.register("erin", "email")
    world.register("heidi", "email")
    world.register("dave", "email")
    world.credential("frank").is_locked_permanently = True
    world.credential("dave").is_locked_permanently = True
    return world


@pytest.mark.parametrize("path", ["/sparekey/reset", "/sparekey/unlock"])
@pytest.mark.parametrize("way", [walk, use_up_the_codes])
def test_every_name_gets_the_same_answers(world_of_all_sorts: World, path: str, way: Way) -> None:
    names = NAMES if way is walk else {sort: NAMES[sort] for sort in SORTS}
    walks = {sort: way(world_of_all_sorts, name, path) for sort, name in names.items()}
    expected = walks.pop("unknown")
    assert {status for status, _, _ in expected} > {200, 303}
    for sort, seen in walks.items():
        for number, (answer, unknown) in enumerate(zip(seen, expected, strict=True)):
            assert answer == unknown, f"{sort}, answer {number}"


def test_only_the_person_gets_a_message(world_of_all_sorts: World) -> None:
    world = world_of_all_sorts
    for name in ("nobody", "heidi", "erin", "alice"):
        world.browser().reset_until_code(name)
    assert world.messages() == []
    world.browser().reset_until_code("bob")
    assert [message["to"] for message in world.messages()] == ["bob.private@example.net"]


def test_no_mask_and_no_own_kind_is_shown_before_the_first_proof(world_of_all_sorts: World) -> None:
    browser = world_of_all_sorts.browser()
    page = browser.start_reset("bob")
    offered = [option["value"] for option in page.html.select("input[name=kind]")]
    assert offered == ["email", "totp", "recovery_codes"]
    page = browser.submit(page, kind="email")
    assert "•" not in page
    assert "If what you typed belongs to an account" in page
