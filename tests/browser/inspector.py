"""Looks at pages as people need them: contrast, names, sizes, widths, weight, other languages."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from gateway.cookies import FAMILY, Cookie

OWN = "/sparekey/"
SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
  .map((element) => element.closest("label.choice") ?? element)
  .filter((element) => element.checkVisibility() && !element.matches(".skip, [aria-hidden=true]"))
  .map((element) => [element.outerHTML.slice(0, 90), element.getBoundingClientRect()])
  .filter(([, box]) => box.width < 44 || box.height < 44)
  .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
WEIGHT = """() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
_VIOLATIONS = """() => axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.map(
  ({ id, nodes }) => `${id} ${nodes[0].html}`))"""


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with a page as it is shown now: the rule, and the first element."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(_VIOLATIONS)
    return found


class Inspector:
    """Looks at each page and collects what is wrong."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.wrong: list[str] = []

    def __call__(self, name: str, page: Page) -> None:
        if OWN not in page.url:
            return
        self.seen.append(name)
        page.wait_for_load_state("load")
        self._axe(name, page, 390, "light")
        self.wrong += [f"{name}: {small}" for small in page.evaluate(SMALL_TARGETS)]
        # The answer to a form cannot be opened a second time: it stays in English.
        if page.locator(".languages").count():
            self._in_other_languages(name, page)
        else:
            self._axe(name, page, 1280, "dark")
        page.set_viewport_size({"width": 320, "height": 640})
        if page.evaluate(OVERFLOW) > 0:
            self.wrong.append(f"{name}: scrolls sideways at 320 px")
        if page.evaluate(WEIGHT) > 60_000:
            self.wrong.append(f"{name}: heavier than 60 kB")
        if page.locator("h1").count() != 1:
            self.wrong.append(f"{name}: not one heading")

    def _axe(self, name: str, page: Page, width: int, scheme: Literal["light", "dark"]) -> None:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        self.wrong += [f"{name} {width} {scheme}: {found}" for found in violations(page)]

    def _in_other_languages(self, name: str, page: Page) -> None:
        beside = page.context.new_page()
        beside.set_viewport_size({"width": 320, "height": 640})
        for language in ("ar", "de"):
            link = page.locator(f".languages [lang={language}]")
            beside.goto(link.evaluate("link => link.href"))
            if beside.locator("html").get_attribute("lang") != language:
                self.wrong.append(f"{name}: not in {language}")
            if beside.evaluate(OVERFLOW) > 0:
                self.wrong.append(f"{name}: scrolls sideways at 320 px in {language}")
            if language == "ar":
                self._axe(f"{name} in Arabic", beside, 1280, "dark")
                beside.set_viewport_size({"width": 320, "height": 640})
        beside.close()
        page.context.clear_cookies(name=f"{FAMILY}{Cookie.LANGUAGE}")


def complain(page: Page, said: list[str]) -> None:
    """Collect what the browser has to say about our pages."""
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda message: said.append(message.text) if is_ours(message.location["url"], message.text) else None,
    )


def is_ours(url: str, text: str) -> bool:
    return OWN in url and "status of" not in text and "Password forms" not in text


class Judge(Inspector):
    """An inspector that also hears what the browser has to say."""

    def __init__(self, context: BrowserContext) -> None:
        super().__init__()
        context.on("page", lambda page: complain(page, self.wrong))
