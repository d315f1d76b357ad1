"""What a written password brought with it, kept for the page that says so."""

import json
from dataclasses import asdict

from flows.recovery.password_write import Finished
from idp_plugin.base import TargetOutcome, TargetResult


def to_bytes(finished: Finished) -> bytes:
    """Return what is kept."""
    return json.dumps(asdict(finished)).encode()


def from_bytes(kept: bytes | None) -> Finished:
    """Read what was kept; what is gone by now is not told."""
    if kept is None:
        return Finished(sessions_left=None, notices=0)
    facts = json.loads(kept)
    targets = tuple(TargetResult(each["target"], TargetOutcome(each["outcome"])) for each in facts["targets"])
    return Finished(facts["sessions_left"], facts["notices"], targets)
