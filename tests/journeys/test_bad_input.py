import pytest

from tests.journeys.world import World, heading

NAMES = [
    "nobody",
    "a" * 10_240,
    "bob\x00",
    "\x00",
    "bob\r\nSet-Cookie: a=b",
    "\u202ebob",
    "b\u200fob",
    "*",
    "*)(uid=*",
    "bob)(|(uid=*",
    "\\2a",
    "uid=bob,ou=people,dc=example,dc=org",
    "cn=admin\\,dc=x",
    "bob' or 1=1 --",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "%00",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "\uff42\uff4f\uff42",
    "\u0431\u043e\u0431",
    " " * 300,
]


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_gets_a_clear_page_and_no_message(world: World, name: str) -> None:
    browser = world.browser()
    page = browser.start_reset(name, status=None)
    assert page.status_int in {200, 422}, heading(page)
    assert "<script>alert" not in page
    assert "49" not in heading(page)
    if page.status_int == 422:
        assert page.html.select_one(".summary a")["href"] == "#identifier"
    assert world.messages() == []


def test_a_name_with_marks_that_pasting_adds_is_understood(world: World) -> None:
    world.register("bob", "email")
    world.browser().reset_until_code("\u202a bob \u202c\u200b")
    assert len(world.messages("bob.private")) == 1


@pytest.mark.parametrize("typed", ["", "   ", "\u200f"])
def test_an_empty_name_is_asked_for_again(world: World, typed: str) -> None:
    page = world.browser().start_reset(typed, status=422)
    assert "Enter your user name or e-mail address" in page


@pytest.mark.parametrize(
    "value",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%2f%2fevil.example",
        "https://127.0.0.1.evil.example/",
        "/sparekey/hold/x",
        "\thttps://evil.example",
    ],
)
def test_a_way_back_to_somewhere_else_leads_home(world: World, value: str) -> None:
    browser = world.browser()
    page = browser.app.get("/sparekey/reset", {"return_to": value})
    assert page.html.find("a", class_="way-out")["href"] == f"{world.public}/sparekey/"
    assert "evil" not in page.html.find("a", class_="way-out")["href"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", "[::1]", "a b", "x@y"]
)
def test_a_foreign_host_is_refused(world: World, host: str) -> None:
    answer = world.browser(HTTP_HOST=host).app.get("/sparekey/reset", status="*")
    assert answer.status_int in {400, 421}
    assert host not in answer


def test_a_form_without_its_token_changes_nothing(world: World) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset")
    page.forms[0]["csrf_token"].force_value("")
    answer = browser.submit(page, identifier="bob", status=400)
    assert heading(answer) == "This page was too old"
    assert not browser.cookie("attempt")


def test_a_form_of_another_browser_changes_nothing(world: World) -> None:
    page = world.browser().get("/sparekey/reset")
    victim = world.browser()
    victim.get("/sparekey/reset")
    fields = {"csrf_token": page.forms[0]["csrf_token"].value, "identifier": "bob"}
    assert victim.app.post("/sparekey/reset", fields, status=400).status_int == 400


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_that_another_site_sends_changes_nothing(world: World, headers: dict[str, str]) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset")
    fields = {"csrf_token": page.forms[0]["csrf_token"].value, "identifier": "bob"}
    answer = browser.app.post("/sparekey/reset", fields, headers=headers, status="*")
    assert answer.status_int == 403


def test_a_browser_without_cookies_is_told_what_to_do(world: World) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset")
    browser.app.reset()
    answer = browser.submit(page, identifier="bob", status=400)
    assert heading(answer) == "Your browser did not keep our cookie"


@pytest.mark.parametrize("value", ["x", "a" * 5000, "é", "' or 1=1"])
def test_an_odd_cookie_is_replaced(world: World, value: str) -> None:
    browser = world.browser()
    answer = browser.app.get(
        "/sparekey/reset", headers={"Cookie": f"sparekey-browser={value}".encode().decode("latin-1")}
    )
    assert len(browser.cookie("browser")) == 43
    assert answer.status_int == 200


@pytest.mark.parametrize("attempt", ["x", "", "a" * 4000, "../../x", "%00"])
def test_an_odd_attempt_starts_again(world: World, attempt: str) -> None:
    browser = world.browser()
    answer = browser.app.get(
        "/sparekey/reset/code", headers={"Cookie": f"sparekey-attempt={attempt}"}, status=410
    )
    assert heading(answer) == "Please start again"


@pytest.mark.parametrize("query", ["identifier=\xe9", "\xff", "lang=\x80&identifier=a"])
def test_raw_bytes_in_an_address_are_refused_with_a_page(world: World, query: str) -> None:
    browser = world.browser()
    answer = browser.app.get(f"/sparekey/reset?{query}", status="*")
    assert (answer.status_int, heading(answer)) == (400, "We did not understand that")


@pytest.mark.parametrize(
    "query", ["lang=xx", "lang=%00", "lang=en-GB", "ui_locales=xx+en", "mkt=en-us", "lang=" + "a" * 3000]
)
def test_any_language_can_be_asked_for(world: World, query: str) -> None:
    page = world.browser().get(f"/sparekey/reset?{query}")
    assert (page.html.html["lang"], page.html.html["dir"]) == ("en", "ltr")


def test_a_page_that_is_not_there_says_so(world: World) -> None:
    assert heading(world.browser().get("/sparekey/nothing", status=404)) == "There is no such page"


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_another_method_is_refused_with_a_page(world: World, method: str) -> None:
    browser = world.browser()
    answer = getattr(browser.app, method)("/sparekey/reset/code", status="*")
    assert (answer.status_int, heading(answer)) == (405, "This page works in another way")
    assert "GET" in answer.headers["Allow"]


def test_too_large_a_form_is_refused(world: World) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset")
    answer = browser.submit(page, identifier="a" * 2_000_000, status=413)
    assert heading(answer) == "That is too much at once"


@pytest.mark.parametrize("kind", ["", "sms", "EMAIL", "email\x00", "a" * 1000])
def test_a_kind_that_is_not_offered_is_refused(world: World, kind: str) -> None:
    browser = world.browser()
    page = browser.submit(browser.start_reset("bob"), kind=kind, status=422)
    assert "Choose one of the ways" in page


@pytest.mark.parametrize(
    "password", ["", "a" * 300, "a" * 20_000, "line\nbreak and more", "\x00" * 12, "bob" * 2]
)
def test_an_odd_password_is_refused_and_can_be_tried_again(world: World, password: str) -> None:
    world.register("bob", "email")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    page = browser.submit(page, password=password, again=password, status=422)
    assert heading(browser.submit(page, password="pässwörd ☃ 漢字 mit allem")) == "Your password was changed"
