"""What a written password brought with it, as it is kept for its page."""

from flows.recovery.password_write import Finished
from gateway.pages.finished import from_bytes, to_bytes
from idp_plugin.base import Convergence, TargetOutcome, TargetResult


def test_what_is_kept_is_what_comes_back() -> None:
    finished = Finished(
        sessions_left=1,
        notices=2,
        targets=(
            TargetResult("corp", TargetOutcome.WRITTEN, Convergence(works=2, asked=3)),
            TargetResult("second", TargetOutcome.LATER),
        ),
    )
    assert from_bytes(to_bytes(finished)) == finished


def test_what_is_gone_by_now_is_not_told() -> None:
    assert from_bytes(None) == Finished(sessions_left=None, notices=0)
