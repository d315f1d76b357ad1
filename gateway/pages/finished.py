"""What a written password brought with it, kept for the page that says so."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flows.recovery.password_write import Finished
from idp_plugin.base import Convergence, TargetOutcome, TargetResult


def to_bytes(finished: Finished) -> bytes:
    """Return what is kept."""
    return json.dumps(asdict(finished)).encode()


def from_bytes(kept: bytes | None) -> Finished:
    """Read what was kept; what is gone by now is not told."""
    if kept is None:
        return Finished(sessions_left=None, notices=0)
    facts = json.loads(kept)
    return Finished(facts["sessions_left"], facts["notices"], tuple(map(_target, facts["targets"])))


def _target(facts: Mapping[str, Any]) -> TargetResult:
    convergence = Convergence(**facts["convergence"]) if facts["convergence"] else None
    return TargetResult(facts["target"], TargetOutcome(facts["outcome"]), convergence)
