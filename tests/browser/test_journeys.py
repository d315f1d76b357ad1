"""The journeys beside the reset, in Chromium: they work, and their pages are easy to use."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import journey_stories
from tests.browser.demo import RunningDemo, started
from tests.browser.inspector import Judge


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with started() as running:
        yield running


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    opened = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


def test_a_forgotten_name_is_found_in_the_mail(demo: RunningDemo, context: BrowserContext) -> None:
    judge = Judge(context)
    journey_stories.forgotten_name(demo, context, judge)
    assert len(judge.seen) == 4
    assert judge.wrong == []


def test_help_is_asked_for_where_no_way_can_be_used(demo: RunningDemo, context: BrowserContext) -> None:
    judge = Judge(context)
    journey_stories.asked_for_help(demo, context, judge)
    assert len(judge.seen) == 3
    assert judge.wrong == []


def test_a_signed_in_person_changes_the_password(demo: RunningDemo, context: BrowserContext) -> None:
    judge = Judge(context)
    journey_stories.changed_signed_in(demo, context, judge)
    assert len(judge.seen) == 4
    assert judge.wrong == []


def test_an_expired_password_is_changed_on_the_way_to_the_application(
    demo: RunningDemo, context: BrowserContext
) -> None:
    judge = Judge(context)
    journey_stories.expired(demo, context, judge)
    assert len(judge.seen) == 1
    assert judge.wrong == []


def test_an_attempt_goes_on_on_another_device(
    demo: RunningDemo, chromium: Browser, context: BrowserContext
) -> None:
    judge = Judge(context)
    journey_stories.moved(demo, chromium, context, judge)
    assert len(judge.seen) == 3
    assert judge.wrong == []
