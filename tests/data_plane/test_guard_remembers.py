"""What nginx remembers of the gateway's answers, and what it must not, whatever those are."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_plane.site import eventually
from tests.data_plane.stated_gateway import Applications, applications

pytestmark = pytest.mark.xdist_group("data_plane")


@pytest.fixture
def unsaid(short_folder: Path) -> Iterator[Applications]:
    with applications(short_folder, revoked_within_ms=1000) as running:
        yield running


def stated(revision: str = "now.1", until: object = None) -> dict[str, str]:
    """Return what the gateway says of a session that may be remembered."""
    ends = int(time.time()) + 60 if until is None else until
    return {"X-Sparekey-Revision": revision, "X-Sparekey-Until": str(ends)}


def hears_again(running: Applications) -> None:
    """Wait until nginx asked what ended, once more from the start."""
    heard = running.gateway.heard
    eventually(lambda: running.gateway.heard > heard + 1)


def test_an_answer_is_remembered_for_its_own_revision_alone(short_folder: Path) -> None:
    with applications(short_folder, revoked_within_ms=1000) as running:
        running.gateway.let_in = stated("now.0")
        hears_again(running)
        # The gateway may have answered from what it knew a moment before something ended.
        assert [running.asked() for _ in range(8)] == [1] * 8
        running.gateway.let_in = stated()
        assert running.asked() == 1
        assert [running.asked() for _ in range(8)] == [0] * 8
        running.gateway.revision = "now.2"
        hears_again(running)
        assert [running.asked() for _ in range(8)] == [1] * 8
        running.gateway.let_in = stated("now.2")
        assert running.asked() == 1
        assert [running.asked() for _ in range(8)] == [0] * 8


@pytest.mark.parametrize(
    "let_in",
    [
        {},
        {"X-Sparekey-Revision": "now.1"},
        {"X-Sparekey-Until": "99999999999"},
        stated(until=int(time.time())),
        stated(until="soon"),
        stated(until=""),
        stated(""),
    ],
    ids=["nothing", "no end", "no revision", "over", "no number", "empty end", "empty revision"],
)
def test_an_answer_that_does_not_say_for_how_long_is_not_remembered(
    unsaid: Applications, let_in: dict[str, str]
) -> None:
    unsaid.gateway.let_in = let_in
    hears_again(unsaid)
    assert [unsaid.asked() for _ in range(4)] == [1] * 4


def test_news_count_from_the_moment_in_which_they_were_asked_for(short_folder: Path) -> None:
    with applications(short_folder, revoked_within_ms=100) as running:
        running.gateway.let_in, running.gateway.seconds = stated(), 0.15
        for _ in range(2):
            hears_again(running)
            assert [running.asked() for _ in range(4)] == [1] * 4


def test_where_nothing_may_be_believed_every_request_is_a_question(short_folder: Path) -> None:
    with applications(short_folder, revoked_within_ms=0) as running:
        running.gateway.let_in = stated()
        assert [running.asked() for _ in range(8)] == [1] * 8
        assert running.gateway.heard == 0
