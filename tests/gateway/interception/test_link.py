"""The link on sign-in pages: where it goes, in which words, with which way back, and where it is left out."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import hypothesis
import pytest
from hypothesis import strategies as some

from gateway.interception.link import WORDING, insert_link
from gateway.plane.observe import LINK_PAGES

ACTION = (
    "https://h.example/realms/corp/login-actions/authenticate?session_code=SECRET&amp;execution=EXEC"
    "&amp;client_id=rp&amp;tab_id=TAB&amp;client_data=eyJydSI6Im"
)
KEYCLOAK = """<!DOCTYPE html>
<html class="login-pf" lang="{language}" dir="{direction}">
<head><meta charset="utf-8"><title>Sign in to corp</title>
<script type="module">startSessionPolling("/realms/corp/login-actions/restart?client_id=rp");</script>
</head>
<body id="keycloak-bg" class="" data-page-id="{page}">
<div id="kc-form"><div id="kc-form-wrapper">
<form id="{form}" class="pf-v5-c-form" onsubmit="login.disabled = true; return true;"
  action="{action}" method="post" novalidate="novalidate">
<input id="username" name="username" value="" type="text"/>
<input id="password" name="password" value="" type="password"/>
<button id="kc-login" type="submit">Sign In</button>
</form>
</div></div></body></html>
"""
ERROR_PAGE = """<html lang="en"><body data-page-id="login-error"><div id="kc-error-message">
<p class="instruction">Account is disabled, contact your administrator.</p>
<p><a id="backToApplication" href="https://rp/">Back to Application</a></p></div></body></html>"""
DEMO = """<!doctype html><html lang='en'><body><form action="/search"><input type="search" name="q"></form>
<FORMS></FORMS><form id="sign-in" method="post" action="/demo/sign-in"><input name="username">
<input id="password" name="password" type="password" required><button>Sign in</button></form></body></html>"""


def keycloak(**changes: str) -> bytes:
    facts = {
        "language": "en",
        "direction": "ltr",
        "page": "login-login",
        "form": "kc-form-login",
        "action": ACTION,
    }
    return KEYCLOAK.format(**{**facts, **changes}).encode()


def put_in(
    page: bytes | str, target: bytes = b"/realms/corp/protocol/openid-connect/auth?client_id=rp&state=x"
) -> str:
    changed = insert_link(
        page if isinstance(page, bytes) else page.encode(), target=target, prefix="/sparekey"
    )
    assert changed is not None
    return changed.decode()


def link_of(page: str) -> tuple[str, dict[str, list[str]]]:
    """Return the link's wording and the parameters of its address, as a browser reads them."""
    found = re.search(r'<p id="sparekey-link"[^>]*><a href="([^"]*)">([^<]*)</a></p>', page)
    assert found
    address = urlsplit(html.unescape(found[1]))
    assert (address.scheme, address.netloc, address.path) == ("", "", "/sparekey/reset")
    return html.unescape(found[2]), parse_qs(address.query, strict_parsing=True)


def test_on_keycloaks_sign_in_page_it_stands_right_after_the_form() -> None:
    page = put_in(keycloak())
    assert '</form><p id="sparekey-link"' in page
    assert (
        page.replace(page[page.index('<p id="sparekey-link"') : page.index("</p>") + 4], "")
        == keycloak().decode()
    )


def test_the_way_back_is_keycloaks_form_action_without_what_posting_it_spends() -> None:
    _, parameters = link_of(put_in(keycloak()))
    assert parameters == {
        "return_to": [
            "/realms/corp/login-actions/authenticate?client_id=rp&tab_id=TAB&client_data=eyJydSI6Im"
        ],
        "lang": ["en"],
    }


@pytest.mark.parametrize("form", ["kc-form-login", "kc-passwd-update-form"])
def test_it_is_offered_on_every_keycloak_form_that_asks_for_a_password(form: str) -> None:
    assert "sparekey-link" in put_in(keycloak(form=form))


def test_it_is_offered_on_keycloaks_error_page_with_the_request_as_way_back() -> None:
    page = put_in(
        ERROR_PAGE, b"/realms/corp/login-actions/authenticate?session_code=SECRET&execution=E&tab_id=T"
    )
    assert "administrator.</p><p id=" in page
    assert link_of(page)[1]["return_to"] == ["/realms/corp/login-actions/authenticate?tab_id=T"]


def test_any_other_sign_in_page_gets_it_after_the_form_with_the_password() -> None:
    page = put_in(DEMO, b"/authorize?client_id=rp&state=a%2Fb&redirect_uri=https%3A%2F%2Frp%2Fcb")
    assert 'Sign in</button></form><p id="sparekey-link"' in page
    assert link_of(page)[1]["return_to"] == [
        "/authorize?client_id=rp&state=a%2Fb&redirect_uri=https%3A%2F%2Frp%2Fcb"
    ]


@pytest.mark.parametrize(
    "quoted", ["type=password", "type='password'", 'TYPE="Password"', ' type = "password"']
)
def test_the_password_field_is_found_however_it_is_written(quoted: str) -> None:
    put_in(f"<form method=post><input name=p {quoted}></form>")


@pytest.mark.parametrize("language", WORDING)
def test_it_speaks_the_pages_language(language: str) -> None:
    page = put_in(keycloak(language=language, direction="rtl" if language == "ar" else "ltr"))
    wording, parameters = link_of(page)
    assert (wording, parameters["lang"]) == (WORDING[language], [language])
    assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page


@pytest.mark.parametrize(
    ("stated", "spoken"),
    [("de-AT", "de"), ("DE", "de"), ("pt-BR", "en"), ("", "en"), ("zh-Hans", "en"), ("dex", "en")],
)
def test_a_language_we_do_not_speak_gets_english(stated: str, spoken: str) -> None:
    assert link_of(put_in(keycloak(language=stated)))[1]["lang"] == [spoken]


def test_the_words_survive_any_encoding_that_contains_ascii() -> None:
    page = keycloak(language="ja").decode().encode("shift_jis")
    assert insert_link(page, target=b"/x", prefix="/sparekey").isascii()  # type: ignore[union-attr]


def test_neither_script_nor_style_is_added() -> None:
    added = put_in(keycloak()).replace(keycloak().decode(), "")
    link = added[added.index('<p id="sparekey-link"') : added.index("</p>")]
    assert not re.search(r"<script|style=|onclick|javascript:", link, re.IGNORECASE)


UNFIT = {
    "no form": b"<html lang=en><p>Hello",
    "a form without a password": b'<form><input type="text"></form>',
    "a password outside any form": b'<form></form><input type="password">',
    "a form that does not end": b'<form><input type="password">',
    "an ended form before the password": b'<form><input></form><p><input type="password"></p></form>',
    "a form in a comment": b'<!-- <form><input type="password"></form> -->',
    "a form in a script": b"<script>x = '<form><input type=\"password\"></form>'</script>",
    "a form in a template": b'<template><form><input type="password"></form></template>',
    "empty": b"",
    "not ASCII-like": '<form><input type="password"></form>'.encode("utf-16"),
    "compressed": b"\x1f\x8b\x08\x00",
    "an error page without a message": b'<body data-page-id="login-error"></body>',
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_page_that_does_not_fit_is_left_alone(name: str) -> None:
    assert insert_link(UNFIT[name], target=b"/x", prefix="/sparekey") is None


def test_a_page_gets_it_once() -> None:
    assert insert_link(put_in(keycloak()).encode(), target=b"/x", prefix="/sparekey") is None


def test_pages_are_counted() -> None:
    def counted(result: str) -> float:
        return LINK_PAGES.labels(result)._value.get()

    inserted, unfit = counted("inserted"), counted("unfit")
    put_in(keycloak())
    insert_link(b"", target=b"/x", prefix="/sparekey")
    assert (counted("inserted"), counted("unfit")) == (inserted + 1, unfit + 1)


ELSEWHERE = [
    "https://evil.example/login-actions/authenticate?tab_id=T",
    "//evil.example/login-actions/authenticate?tab_id=T",
    "https://evil.example//evil.example/login-actions/x",
    "https://evil.example/\\evil.example/login-actions/x",
    "/\\evil.example/login-actions/x",
    "javascript:alert(1)/login-actions/x",
    "login-actions/x/login-actions/",
    "https:evil.example/login-actions/x",
    "\nhttps://evil.example/login-actions/x",
    "data:text/html,/login-actions/",
]


@pytest.mark.parametrize("action", ELSEWHERE)
def test_no_page_sends_people_to_another_origin(action: str) -> None:
    _, parameters = link_of(put_in(keycloak(action=html.escape(action))))
    for way_back in parameters.get("return_to", []):
        assert re.match(r"/(?![/\\])", way_back)
        assert "evil" not in urlsplit(way_back).netloc


@pytest.mark.parametrize(
    "target", [b"//evil.example/x", b"https://evil.example/x", b"/\\evil", b"x", b"/a b", b"/\xff"]
)
def test_a_target_that_is_no_path_of_ours_is_left_out(target: bytes) -> None:
    assert "return_to" not in link_of(put_in(DEMO, target))[1]


def test_a_way_back_that_is_too_long_is_left_out() -> None:
    assert "return_to" not in link_of(put_in(DEMO, b"/authorize?state=" + b"x" * 9000))[1]


class Elements(HTMLParser):
    """Lists what a page consists of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True)
@hypothesis.given(target=some.text(some.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60))
def test_no_target_adds_anything_but_one_paragraph_and_one_link(target: str) -> None:
    path = "/" + target.lstrip("/\\")
    page = put_in(DEMO, path.encode())
    before, after = Elements(DEMO).found, Elements(page).found
    added = [element for element in after if element not in before]
    assert [tag for tag, _ in added] == ["p", "a"]
    assert [name for name, _ in added[1][1]] == ["href"]
    _, parameters = link_of(page)
    assert set(parameters) <= {"return_to", "lang"}
    assert "spent" not in parameters
    kept = path.partition("?")
    pairs = [pair for pair in kept[2].split("&") if not pair.startswith(("session_code=", "execution="))]
    assert parameters["return_to"] == [kept[0] + ("?" + "&".join(pairs) if "&".join(pairs) else "")]
