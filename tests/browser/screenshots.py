"""Writes a picture of every page to `docs/screenshots`; run as `python -m tests.browser.screenshots`."""

from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser import stories
from tests.browser.demo import started
from tests.browser.small_png import shrunk
from tests.servers.browser import FLAGS

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTHS = {390: 844, 1280: 800}
SCHEMES = ("light", "dark")
OPTIONS = {"locale": "en-GB", "timezone_id": "Europe/Amsterdam", "reduced_motion": "reduce"}


class Camera:
    """Takes the four pictures of each page that it is shown."""

    def __init__(self, blank: Page) -> None:
        self._blank = blank

    def __call__(self, name: str, page: Page) -> None:
        page.wait_for_load_state("networkidle")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                taken = page.screenshot(full_page=True, animations="disabled")
                (FOLDER / f"{name}-{width}-{scheme}.png").write_bytes(shrunk(taken, self._blank))
        print(name)  # noqa: T201 - a script that people run


def main() -> None:
    """Walk through every story."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    with started() as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        camera, alice = Camera(browser.new_page()), browser.new_context(**OPTIONS)
        stories.first_sign_in(demo, alice, camera).close()
        stories.at_home(demo, alice, camera)
        for story in (stories.forgotten_password, stories.confirmed_again, stories.stopped):
            story(demo, browser.new_context(**OPTIONS), camera)
        browser.close()


if __name__ == "__main__":
    main()
