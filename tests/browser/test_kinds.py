"""Every kind that the demo does not offer, in Chromium: it works, and its pages are easy to use."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import kind_stories
from tests.browser.inspector import Judge
from tests.browser.kind_stories import Story
from tests.journeys.second_provider import SecondProvider
from tests.journeys.world import World


@pytest.fixture(scope="module")
def everything() -> Iterator[tuple[World, SecondProvider]]:
    with kind_stories.everything_offered() as opened:
        yield opened


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    opened = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("story", "pages"),
    [
        (kind_stories.phones, 12),
        (kind_stories.called, 1),
        (kind_stories.passkey, 4),
        (kind_stories.questions, 4),
        (kind_stories.identity, 3),
        (kind_stories.links_in_messages, 6),
        (kind_stories.handed_out, 2),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_its_pages_are_easy_to_use(
    everything: tuple[World, SecondProvider], context: BrowserContext, story: Story, pages: int
) -> None:
    world, second = everything
    world.begin_anew()
    judge = Judge(context)
    story(world, second, context, judge)
    assert len(judge.seen) == pages
    assert judge.wrong == []
