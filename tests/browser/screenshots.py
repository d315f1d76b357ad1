"""Writes a picture of every page to `docs/screenshots`; run as `python -m tests.browser.screenshots`."""

import itertools
import logging
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import journey_stories, kind_stories, stories
from tests.browser.demo import started
from tests.browser.small_png import shrunk
from tests.servers.browser import FLAGS

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTHS = {390: 844, 1280: 800}
SCHEMES = ("light", "dark")
STORIES = (
    stories.forgotten_password,
    stories.confirmed_again,
    stories.stopped,
    journey_stories.forgotten_name,
    journey_stories.asked_for_help,
    journey_stories.changed_signed_in,
    journey_stories.expired,
)
LIKE_OTHERS = {
    "change-expired",
    "code-and-another-device",
    "home-password",
    "invitation-gone",
    "is-it-something-else",
    "prove-passkey",
    "recovery-codes-added",
    "register-office-code",
    "remove-proof",
}
"""Pages that look like another one but for a word or two."""
OPTIONS: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Europe/Amsterdam", "reduced_motion": "reduce"}


class Camera:
    """Takes the four pictures of each page that it is shown; of an error the two that differ most."""

    def __init__(self, blank: Page) -> None:
        self._blank = blank

    def __call__(self, name: str, page: Page) -> None:
        if name in LIKE_OTHERS:
            return
        page.wait_for_load_state("networkidle")
        is_error = name.endswith("-error")
        for width, scheme in (
            zip(WIDTHS, SCHEMES, strict=True) if is_error else itertools.product(WIDTHS, SCHEMES)
        ):
            page.set_viewport_size({"width": width, "height": WIDTHS[width]})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            taken = page.screenshot(full_page=True, animations="disabled")
            (FOLDER / f"{name}-{width}-{scheme}.png").write_bytes(shrunk(taken, self._blank))
        print(name)  # noqa: T201 - a script that people run


def main() -> None:
    """Walk through every story."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    # The second provider would tell each of its requests.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        camera = Camera(browser.new_page())
        in_the_demo(browser, camera)
        of_every_kind(browser, camera)
        browser.close()


def in_the_demo(browser: Browser, camera: Camera) -> None:
    """Walk through what the demo's people do."""
    with started() as demo:
        alice = browser.new_context(**OPTIONS)
        stories.first_sign_in(demo, alice, camera).close()
        stories.at_home(demo, alice, camera)
        for story in STORIES:
            story(demo, browser.new_context(**OPTIONS), camera)
        journey_stories.moved(demo, browser, browser.new_context(**OPTIONS), camera)


def of_every_kind(browser: Browser, camera: Camera) -> None:
    """Walk through what the demo does not offer."""
    with kind_stories.everything_offered() as (world, second):
        for story in kind_stories.STORIES:
            world.begin_anew()
            story(world, second, browser.new_context(**OPTIONS), camera)


if __name__ == "__main__":
    main()
