"""What interception counts."""

import enum

from prometheus_client import Counter

from enforcement.decision import Decision, Deny


class Outcome(enum.StrEnum):
    """How one authorization answer ended."""

    RELEASED = "released"
    """Handed on: the gate had nothing to ask."""
    WITHHELD = "withheld"
    """Handed on although something is missing: the policy's maintenance."""
    HELD = "held"
    """Kept; the browser went to the portal."""
    DENIED = "denied"
    """The policy refuses."""
    LOOPED = "looped"
    """Held too often in a row; ended with a reference."""
    UNRECOGNISED = "unrecognised"
    """Nobody could be verified; refused."""
    WRONG_SESSION = "wrong_session"
    """A rewritten request was answered from another session; not handed on."""
    SATISFIED = "satisfied"
    """Handed on during an outage, because this session was covered minutes ago."""
    FAULT_RELEASED = "fault_released"
    """Handed on during an outage, because the policy says so."""
    FAULT_DENIED = "fault_denied"
    """Refused during an outage."""
    SILENT = "silent"
    """The relying party asked silently, and was told that the person has to see a page."""
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a label
    """The application was told by an error of the token endpoint."""
    FAILED = "failed"
    """A failure of ours; refused."""


SIGN_INS = Counter("sparekey_sign_ins", "Authorization answers, by how they ended", ["outcome"])
PROMPT_NONE = Counter("sparekey_prompt_none", "Silent authorization requests")
SESSION_MISSES = Counter("sparekey_session_misses", "Responses that set a session and were not recognised")
GATE_FAULTS = Counter("sparekey_gate_faults", "Sign-ins at which infrastructure failed", ["answer"])
GATE_REPORTS = Counter("sparekey_gate_reports", "Sign-ins that a rule in report only would hold", ["rule"])
UNSAVED_REQUESTS = Counter("sparekey_unsaved_requests", "Authorization requests kept in memory only")

_OUTCOMES = {outcome: SIGN_INS.labels(outcome.value) for outcome in Outcome}
_FAULTS = {answer: GATE_FAULTS.labels(answer) for answer in ("release", "deny")}


def count(outcome: Outcome) -> None:
    """Count one answer."""
    _OUTCOMES[outcome].inc()


def count_fault(answer: str) -> None:
    """Count one fault by its answer, `release` or `deny`."""
    _FAULTS[answer].inc()


def count_reports(decision: Decision) -> None:
    """Count what rules in report only say of one sign-in."""
    if not isinstance(decision, Deny):
        for rule in decision.reported:
            GATE_REPORTS.labels(rule).inc()
