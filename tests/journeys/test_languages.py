"""Pages and messages speak the person's language; choosing one loses nothing."""

import html
import re

import pytest
from webtest import TestResponse

from gateway.catalogs import LANGUAGES
from idp_plugin.demo.directory import PEOPLE_BASE
from tests.journeys.world import World, heading

WHO = {
    "en": "What name do you sign in with?",
    "nl": "Met welke naam meldt u zich aan?",
    "de": "Mit welchem Namen melden Sie sich an?",
    "fr": "Avec quel nom vous connectez-vous\u202f?",
    "es": "¿Con qué nombre inicia sesión?",
    "ja": "サインインに使う名前を入力してください",
    "ar": "ما الاسم الذي تسجّل الدخول به؟",
}


def choices(page: TestResponse) -> dict[str, str]:
    """Addresses of the language chooser by language."""
    chooser = re.search(r'<nav class="languages".*?</nav>', page.text, re.DOTALL)
    links = re.findall(r'href="([^"]*)" lang="(\w+)" hreflang="\2"', chooser[0] if chooser else "")
    return {language: html.unescape(address) for address, language in links}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_speaks_the_language_that_its_address_asks_for(world: World, language: str) -> None:
    for parameter in ("lang", "mkt", "ui_locales"):
        page = world.browser().get(f"/sparekey/reset?{parameter}={language}")
        assert heading(page) == WHO[language]
        direction = "rtl" if language == "ar" else "ltr"
        assert f'<html lang="{language}" dir="{direction}">' in page.text


def test_a_language_once_chosen_stays_and_goes_before_the_browser_s(world: World) -> None:
    browser = world.browser(HTTP_ACCEPT_LANGUAGE="de-AT, en;q=0.5")
    assert heading(browser.get("/sparekey/reset")) == WHO["de"]
    browser.get("/sparekey/reset?lang=ja")
    assert heading(browser.get("/sparekey/reset")) == WHO["ja"]


@pytest.mark.parametrize("asked", ["tlh", "", "..%2F..%2Fetc", "%00", "x%0d%0aX-Evil:1", "x" * 3000])
def test_a_language_that_nobody_speaks_here_changes_nothing(world: World, asked: str) -> None:
    page = world.browser().get(f"/sparekey/reset?lang={asked}")
    assert heading(page) == WHO["en"]
    assert "language" not in str(page.headers.getall("Set-Cookie"))


def test_the_chooser_offers_every_language_and_keeps_the_rest_of_the_address(world: World) -> None:
    browser = world.browser()
    page = browser.get("/sparekey/reset?identifier=bob%26eve&ui_locales=nl+en&return_to=/authorize%3Fa%3D1")
    offered = choices(page)
    assert list(offered) == list(LANGUAGES)
    arabic = browser.get(f"/sparekey/reset{offered['ar']}")
    assert heading(arabic) == WHO["ar"]
    assert 'value="bob&amp;eve"' in arabic.text
    assert 'name="return_to" type="hidden" value="/authorize?a=1"' in arabic.text
    assert offered["ar"].endswith("&lang=ar")
    assert "ui_locales" not in offered["ar"]


def test_a_page_that_shows_what_was_typed_again_offers_no_link_that_would_lose_it(world: World) -> None:
    page = world.browser().start_reset("\x01", status=422)
    assert choices(page) == {}


def test_a_refusal_is_said_in_the_language_of_the_page(world: World) -> None:
    browser = world.browser()
    page = browser.submit(browser.get("/sparekey/reset?lang=nl"), identifier="", status=422)
    assert "Voer uw gebruikersnaam of e-mailadres in" in page.text


def test_a_code_is_sent_in_the_language_that_the_directory_states(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = world.around.served.entry(f"uid=bob,{PEOPLE_BASE}")
    monkeypatch.setattr(entry, "attributes", {**entry.attributes, "preferredLanguage": ["ar-EG"]})
    world.register("bob", "email")
    browser = world.browser()
    browser.submit(browser.start_reset("bob"), kind="email")
    assert world.messages("bob.private")[0]["subject"] == "رمز التحقق الخاص بك لدى Example Company"
    assert len(world.code("bob.private")) == 6


def test_somebody_signed_in_is_written_to_in_the_language_of_the_page(world: World) -> None:
    browser = world.browser()
    browser.sign_in("alice")
    page = browser.get("/sparekey/register/email?lang=nl")
    browser.submit(page, address="alice.private@example.net")
    assert world.messages("alice.private")[0]["subject"].startswith("Bevestig uw")
