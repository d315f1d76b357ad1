"""What every page of ours says to the browser, whatever it answers."""

import re

import pytest

from tests.journeys.world import World

PAGES = {
    "/sparekey/reset": 200,
    "/sparekey/reset/code": 410,
    "/sparekey/": 303,
    "/sparekey/register": 303,
    "/sparekey/oidc/logout": 200,
    "/sparekey/oidc/callback": 400,
    "/sparekey/hold/AAAAAAAAAAAAAAAAAAAAAAAA": 410,
    "/sparekey/demo/outbox": 200,
    "/sparekey/demo/outbox.json": 200,
    "/sparekey/nothing": 404,
    "/.well-known/change-password": 302,
}


@pytest.mark.parametrize(("path", "status"), PAGES.items())
def test_every_answer_is_guarded(world: World, path: str, status: int) -> None:
    answer = world.browser().app.get(path, status="*")
    assert answer.status_int == status
    policy = dict(part.partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "strict-origin"


@pytest.mark.parametrize("path", ["/sparekey/reset", "/sparekey/nothing"])
def test_no_page_has_inline_script_or_style(world: World, path: str) -> None:
    page = world.browser().get(path, status=None)
    assert all(script.get("src") and not script.text for script in page.html.find_all("script"))
    assert not page.html.find_all("style")
    assert not page.html.find_all(style=True)
    assert not re.search(r"\son[a-z]+=", page.text)


def test_static_files_are_kept_and_named_by_their_content(world: World) -> None:
    browser = world.browser()
    address = browser.get("/sparekey/reset").html.find("link", rel="stylesheet")["href"]
    assert re.fullmatch(r"/sparekey/static/sparekey\.css\?v=[0-9a-f]{12}", address)
    answer = browser.app.get(address)
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", ["../forms.py", "..%2fforms.py", "nothing.css", "%00"])
def test_nothing_else_is_served_as_a_static_file(world: World, name: str) -> None:
    assert world.browser().app.get(f"/sparekey/static/{name}", status="*").status_int == 404


def test_the_solver_is_small_enough_to_read(world: World) -> None:
    assert len(world.browser().app.get("/sparekey/static/work.js").body) < 5_000


def test_secrets_are_never_in_an_address_or_a_log(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.reset_until_code("bob")
    code = world.code("bob.private")
    page = browser.submit(page, code=code)
    page = browser.submit(page, password="four words not together")
    logged = "".join(capfd.readouterr())
    for secret in (code, "four words not together", browser.cookie("attempt"), browser.cookie("browser")):
        assert secret not in logged
        assert secret not in page.request.url


def test_a_signed_logout_from_the_provider_needs_no_form_token_and_a_forged_one_ends_nothing(
    world: World,
) -> None:
    browser = world.browser()
    world.register("bob", "email")
    browser.sign_in("bob")
    answer = browser.app.post("/sparekey/oidc/backchannel-logout", {"logout_token": "forged"}, status=400)
    assert answer.json == {"error": "invalid_request"}
    assert browser.cookie("session")
    assert "My ways back in" in browser.get("/sparekey/")
