"""How writeback stands, in words for operators.

Source: the six status texts of the reference product's agent.
"""

from collections.abc import Mapping
from typing import TypedDict

from idp_plugin.writeback.rights import SENTENCES
from idp_plugin.writeback.roster import SeenAgent, Status

TEXTS: Mapping[Status, str] = {
    Status.RUNNING: "The agent is running and passwords are written.",
    Status.OUTDATED: "The agent is connected and works, but is older than the gateway. Install this version.",
    Status.TOO_OLD: "The agent cannot be checked, because it speaks an older protocol. Install this version.",
    Status.NOT_CONNECTED: "The agent is not connected: nothing was heard of it for 90 seconds.",
    Status.NOT_CONFIGURED: "The agent is connected, but not everything is set up as it should be.",
    Status.CHANNEL_DOWN: "The agents cannot be asked, because the gateway's own Redis does not answer.",
}

_PROBLEMS: Mapping[str, str] = {
    "canary": "the test account's password was reset and then did not work",
    "stopped": "its kill switch is on: `sparekey agent resume` on its host releases it",
    "clock": "its clock differs from the gateway's by more than a minute; it gets no orders",
    "not_believed": "its heartbeats are not signed by the key that was pinned; let it join again",
}


class Described(TypedDict):
    """One agent, for scripts and for people."""

    directory: str
    agent: str
    name: str
    status: str
    text: str
    version: str
    canary: str
    canary_at: str
    problems: list[str]


def described(directory: str, seen: SeenAgent) -> Described:
    """Say how one agent stands."""
    return Described(
        directory=directory,
        agent=seen.pinned.id,
        name=seen.pinned.name,
        status=seen.status.value,
        text=TEXTS[seen.status],
        version=seen.beat.version if seen.beat else "",
        canary=seen.beat.health.canary if seen.beat else "",
        canary_at=seen.beat.health.canary_at if seen.beat else "",
        problems=[_sentence(problem) for problem in seen.problems],
    )


def _sentence(problem: str) -> str:
    kind, _, what = problem.partition(":")
    if kind == "server":
        return f"it does not reach the directory server {what}, or cannot verify it"
    if kind == "right":
        return f"its service account lacks a right: {SENTENCES.get(what, what)}"
    return _PROBLEMS.get(problem, problem)
