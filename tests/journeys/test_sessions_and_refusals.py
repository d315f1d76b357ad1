"""What ends with a password, who has power here, and what refused sign-ins may cost."""

import re

from gateway.back_doors import back_doors
from store.audit import AuditAction
from tests.journeys.world import PageVisitor, World, WorldFactory, heading

NEW = "four words not together"


def is_signed_in(browser: PageVisitor) -> bool:
    """Whether our own session still stands, without going round through the provider."""
    return browser.app.get("/sparekey/register", status="*").status_int == 200


def refused_sign_ins(world: World) -> int:
    with world.sparekey.services.database.reading() as transaction:
        return len(transaction.audit.find(action=AuditAction.PORTAL_SIGN_IN_REFUSED))


def test_a_reset_ends_our_own_sessions_of_the_person_and_nobody_elses(world: World) -> None:
    world.register("bob", "email")
    thief, grace = world.browser(), world.browser()
    thief.sign_in("bob", "/sparekey/register")
    grace.sign_in("grace", "/sparekey/register")
    assert is_signed_in(thief)
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    assert heading(browser.submit(page, password=NEW)) == "Your password was changed"
    assert not is_signed_in(thief)
    assert is_signed_in(grace)


def test_where_sessions_go_on_elsewhere_the_page_says_so_and_the_check(open_a_world: WorldFactory) -> None:
    world = open_a_world(idp={"sessions_path": ""})
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    done = browser.submit(page, password=NEW)
    assert heading(done) == "Your password was changed"
    assert "may stay signed in" in done.text
    assert "signed out everywhere" not in done.text
    assert "ends none" in dict(back_doors(world.sparekey.services.settings))["sessions"]


def test_where_sessions_end_at_the_provider_the_page_says_so(world: World) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    assert "signed out everywhere" in browser.submit(page, password=NEW).text
    assert "sessions" not in dict(back_doors(world.sparekey.services.settings))


def test_this_was_not_me_ends_our_own_sessions(world: World) -> None:
    thief = world.browser()
    thief.sign_in("alice", "/sparekey/register")
    page = thief.submit(thief.get("/sparekey/register/email"), address="mallory@example.net")
    thief.submit(page, code=world.code("mallory@"))
    assert is_signed_in(thief)
    text = next(message["text"] for message in world.messages("alice@") if "/not-me/" in message["text"])
    link = re.search(r"/sparekey/not-me/\S+", text)
    assert link
    world.browser().submit(world.browser().get(link[0]))
    assert not is_signed_in(thief)


def test_nothing_registered_cannot_look_good_in_a_browser_either(world: World) -> None:
    browser = world.browser()
    page = browser.sign_in("alice", "/sparekey/register")
    token = page.html.find("input", {"name": "csrf_token"})["value"]
    page = browser._follow(browser.app.post("/sparekey/register/confirm", {"csrf_token": token}), 200)
    assert page.request.path == "/sparekey/register"
    with world.sparekey.services.database.reading() as transaction:
        assert not transaction.audit.find(action=AuditAction.REGISTRATION_AUTHENTICATOR_CONFIRMED)


def test_who_has_a_role_here_is_privileged(open_a_world: WorldFactory) -> None:
    world = open_a_world(roles={"helpdesk": ["helpdesk"]})
    world.register("frank", "email")
    world.register("bob", "email")
    for name in ("frank", "bob"):
        world.browser().reset_until_code(name)
    assert [message["to"] for message in world.messages()] == ["bob.private@example.net"]


def test_refused_sign_ins_fill_no_audit_and_are_limited_for_their_address_block(world: World) -> None:
    browser = world.browser(address="192.0.2.7")
    for _ in range(60):
        browser.get(begun(browser), status=400)
    page = browser.get(begun(browser), status=429)
    assert heading(page) == "That is enough for now"
    assert refused_sign_ins(world) == 1
    other = world.browser(address="198.51.100.7")
    other.get(begun(other), status=400)
    assert refused_sign_ins(world) == 2
    world.clock.forward(seconds=61)
    browser.get(begun(browser), status=400)


def test_pictures_on_somebody_elses_page_keep_no_office_from_signing_in(world: World) -> None:
    for _ in range(70):
        # As another site's page has it fetched: without our cookies.
        world.browser(address="192.0.2.7").get("/sparekey/oidc/callback?state=made-up&code=c", status=400)
    assert refused_sign_ins(world) == 1
    colleague = world.browser(address="192.0.2.8")
    colleague.sign_in("bob")
    assert is_signed_in(colleague)


def begun(browser: PageVisitor) -> str:
    """The provider's answer to a sign-in that this browser began, as it was never given."""
    state = re.search(r"state=([^&]+)", browser.app.get("/sparekey/", status=303).headers["Location"])
    assert state
    return f"/sparekey/oidc/callback?state={state[1]}&error=access_denied"


def test_an_app_code_that_comes_too_early_is_kept_and_asked_for_again(world: World) -> None:
    world.register("carol", "totp")
    for name in ("carol", "nobody"):
        browser = world.browser()
        page = browser.reset_until_code(name, "totp", hurry=True)
        page = browser.submit(page, code="123456", status=503)
        assert "Please press the button again in a moment" in page
        assert page.html.find("input", id="code")["value"] == "123456"
        world.clock.forward(seconds=5)
        assert "You can try 4 more times" in browser.submit(page, status=422)
