"""The numbers by which operators of other products know our audit events: `code` in an event's detail.

Source: the reference product's password reset service, event codes 31001 to 33009.
"""

from collections.abc import Mapping

UNKNOWN_OUTCOME = 32000
SERVICE_UNREACHABLE = 32002
NO_RIGHTS = 33004
DISABLED = 33005
LOCKED = 33006
WRONG_PASSWORD = 33007
POLICY = 33008
DIRECTORY_SETTINGS = 33009

CODES: Mapping[str, int] = {
    "reset:attempt:started": 31001,
    "reset:password:written": 31002,
    "reset:password:failed": 31003,
    "reset:password:refused": POLICY,
    "reset:outcome:unknown": UNKNOWN_OUTCOME,
    "change:attempt:started": 31006,
    "change:password:written": 31007,
    "change:password:failed": 31008,
    "change:password:refused": POLICY,
    "change:old_password:refused": WRONG_PASSWORD,
    "change:outcome:unknown": UNKNOWN_OUTCOME,
    "unlock:outcome:unknown": UNKNOWN_OUTCOME,
    "writeback:agent:invited": 31004,
    "writeback:agent:joined": 31005,
    "writeback:agent:refused": 32011,
    "writeback:agent:keys_adopted": 31018,
    "writeback:agent:revoked": 31013,
}
"""By `AuditAction`; where the detail says more, `_BY_DETAIL` is asked first."""

_BY_DETAIL: Mapping[tuple[str, str], int] = {
    ("cause", "IdpUnavailable"): SERVICE_UNREACHABLE,
    ("cause", "NotPermitted"): NO_RIGHTS,
    ("cause", "IdpMisconfigured"): DIRECTORY_SETTINGS,
    ("why", "privileged"): NO_RIGHTS,
    ("why", "disabled"): DISABLED,
    ("why", "locked"): LOCKED,
    ("why", "too_young"): POLICY,
    ("why", "cannot_change"): POLICY,
}
_DETAILED = ("reset:password:failed", "change:password:failed", "unlock:account:failed")
_REFUSED = ("reset:attempt:refused", "change:attempt:refused", "unlock:attempt:refused")


def code_of(action: str, detail: Mapping[str, str | int | bool]) -> int | None:
    """Return the number of an event, None where there is none for it."""
    if action in _DETAILED or action in _REFUSED:
        for name in ("cause", "why"):
            found = _BY_DETAIL.get((name, str(detail.get(name, ""))))
            if found is not None:
                return found
    return CODES.get(action)
