import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.messaging.asked import Asked, browser_of
from flows.messaging.message import MessageKind
from flows.messaging.render import Render, plain_name

AT = dt.datetime(2026, 11, 22, 13, 5, tzinfo=dt.UTC)
ASKED = Asked(AT, "192.0.2.0/24", "Firefox on Windows")
LINK = "https://sso.example.org/sparekey/here/reference"
RENDER = Render(organisation="Example & Company", zone="Europe/Amsterdam")


def reset_code(name: str = "Jane Doe"):
    draft = RENDER.attempt_code(
        "reset", "012345", name=name, minutes=5, asked=ASKED, link=LINK, reference="ABCD-EFGH"
    )
    return draft.to("jane@home.example", MessageKind.RESET_CODE, "ABCD-EFGH")


def test_a_code_message_says_what_when_and_from_where() -> None:
    text = reset_code().text
    assert "\n\n012345\n\n" in text
    assert "2026-11-22 13:05 UTC (14:05 Europe/Amsterdam)" in text
    assert "192.0.2.0/24" in text
    assert "Firefox on Windows" in text
    assert "Reference: ABCD-EFGH" in text


def test_the_code_is_not_in_the_subject_which_lock_screens_show() -> None:
    message = reset_code()
    assert "012345" not in message.subject
    assert "Example & Company" in message.subject


def test_the_html_says_the_same_and_escapes() -> None:
    html = reset_code("<b>Jane</b> & Co").html
    assert "012345" in html
    assert "Example &amp; Company" in html
    assert "<b>" not in html
    assert "<script" not in html


def test_a_message_shows_no_secret_when_it_is_logged() -> None:
    assert "012345" not in repr(reset_code())
    assert "jane@home.example" not in repr(reset_code())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Jane Doe", "Jane Doe"),
        ("  Jane \t\r\n Doe ", "Jane Doe"),
        ("Jane https://evil.example/x Doe", "Jane Doe"),
        ("Click evil.example now", "Click now"),
        ("mail mallory@evil.example", "mail"),
        ("Jane\u202eeoD", "Jane eoD"),
        ("Jane\x00\x1b[31m", "Jane [31m"),
        ("J. R. Doe", "J. R. Doe"),
        ("x" * 500, "x" * 60),
        ("", ""),
    ],
)
def test_names_bring_no_link_address_or_control_character(name: str, shown: str) -> None:
    assert plain_name(name) == shown


@given(st.text())
def test_no_name_becomes_a_header_a_link_or_a_placeholder(name: str) -> None:
    text = RENDER.password_reset(name=name, at=AT, stop_link="", reference="R").paragraphs[0]
    assert "\n" not in text
    assert "\r" not in text
    assert "@" not in text
    assert "://" not in text


def test_placeholders_in_a_name_stay_what_they_are() -> None:
    assert "Hello {code}," in reset_code("{code}").text


def test_a_translation_is_used_with_its_placeholders() -> None:
    dutch = Render(
        organisation="Voorbeeld",
        languages=lambda locale: (
            lambda sentence: sentence.replace("Hello", {"nl": "Dag"}.get(locale, "Hello"))
        ),
    ).in_language("nl")
    draft = dutch.password_reset(name="Jane", at=AT, stop_link="https://x.example/s/1", reference="R")
    assert draft.paragraphs[0] == "Dag Jane,"
    assert "https://x.example/s/1" in draft.paragraphs


WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Windows",
        ),
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.0 Safari/605.1.15",
            "Safari on macOS",
        ),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.0", ""),
        ("Please call +31 6 12345678 at once", ""),
        ("Windows", "Windows"),
        ("", ""),
    ],
)
def test_a_browser_is_named_from_a_list_and_never_quoted(agent: str, words: str) -> None:
    assert browser_of(agent) == words


@given(st.text())
def test_not_a_character_of_an_agent_field_reaches_a_message(agent: str) -> None:
    browsers = {"Edge", "Opera", "Firefox", "Chrome", "Safari", "Samsung", "Internet"}
    known = browsers | {"on", "iPhone", "iPad", "Android", "Windows", "macOS", "ChromeOS", "Linux"}
    assert set(browser_of(agent).split()) <= known
