"""A stranger learns nothing (S4): every name walks the same pages."""

import re

import pytest
from webtest import TestResponse

from tests.journeys.world import World

NAMES = {
    "known": "bob",
    "with two methods": "grace",
    "unregistered": "alice",
    "outside every policy": "heidi",
    "privileged": "erin",
    "locked": "carol",
    "disabled": "frank",
    "unknown": "nobody",
    "known by mail address": "bob@example.org",
    "unknown by mail address": "nobody@example.org",
    "filter": "*)(uid=*",
}
TOKENS = re.compile(r'(name="(?:csrf_token|ticket)"[^>]*value=")[^"]*|(data-work=")[^"]*')


def plain(page: TestResponse, name: str) -> tuple[int, list[tuple[str, str]], str]:
    """Status, header fields and body, without what is random or was typed."""
    fields = [
        (field, value) for field, value in page.headerlist if field not in {"Set-Cookie", "Content-Length"}
    ]
    return page.status_int, fields, TOKENS.sub(r"\1\2", page.text).replace(f'value="{name}"', "")


def walk(world: World, name: str) -> list[tuple[int, list[tuple[str, str]], str]]:
    """Everything that a stranger sees who types a name."""
    browser, begun = world.browser(), world.clock.now
    seen = [browser.start_reset(name)]
    for kind in ("email", "totp"):
        seen.append(browser.submit(browser.get("/sparekey/reset/choose"), kind=kind))
        world.work()
        world.clock.forward(seconds=5)
        seen.append(browser.get("/sparekey/reset/code"))
        seen.append(browser.submit(seen[-1], code="000000", status=None))
    seen.append(browser.submit(browser.get("/sparekey/reset/choose"), kind="email", status=None))
    for _try in range(4):
        seen.append(browser.submit(browser.get("/sparekey/reset/code"), code="000000", status=None))
        if seen[-1].status_int == 410:
            break
    seen.append(browser.get("/sparekey/reset/password", status=None))
    seen.append(browser.start_reset(name))
    seen.append(browser.submit(seen[-1], kind="totp", status=None))
    # Pages tell the time: everybody walks at the same.
    world.clock.now = begun
    return [plain(page, name) for page in seen]


@pytest.fixture
def world_of_all_sorts(world: World) -> World:
    world.register("bob", "email")
    world.register("carol", "email")
    world.register("grace", "email", "totp")
    world.register("frank", "email")
    world.register("erin", "email")
    world.register("heidi", "email")
    world.credential("frank").is_locked_permanently = True
    return world


def test_every_name_sees_the_same_pages(world_of_all_sorts: World) -> None:
    world = world_of_all_sorts
    walks = {sort: walk(world, name) for sort, name in NAMES.items()}
    expected = walks.pop("unknown")
    for sort, seen in walks.items():
        for number, (page, unknown) in enumerate(zip(seen, expected, strict=True)):
            assert page == unknown, f"{sort}, page {number}"


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
