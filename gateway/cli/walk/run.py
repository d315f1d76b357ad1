"""Performs every step of every journey, and tells each."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from .browser import StepFailed
from .main_job import MainJob
from .other_journeys import Change, Confirmation, Unlock
from .visitor import Visitor

Journey = Callable[[Mapping[str, Any]], Visitor]
JOURNEYS: tuple[Journey, ...] = (MainJob, Unlock, Change, Confirmation)


def walk(ready: Mapping[str, Any], out: TextIO, journeys: Iterable[Journey] = JOURNEYS) -> bool:
    """Walk through a demo, given its ready file's content; stop at the first step that fails.

    Returns:
        Whether everything works.
    """
    number = 0
    for journey in journeys:
        visitor = journey(ready)
        for words, step in visitor.steps():
            number += 1
            try:
                step()
            except (StepFailed, LookupError, TypeError, ValueError) as failed:
                why = failed.why if isinstance(failed, StepFailed) else f"{failed!r} on {visitor.where()}"
                _say(out, f"{number:>2}. FAILED  {words}: {why}")
                return False
            _say(out, f"{number:>2}. ok      {words}")
    _say(out, "The main job works from end to end, and so do unlock, change and confirmation.")
    return True


def _say(out: TextIO, line: str) -> None:
    out.write(f"{line}\n")
    out.flush()
