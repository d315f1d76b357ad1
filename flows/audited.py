"""What the audit calls the steps that every journey has."""

from collections.abc import Mapping
from dataclasses import dataclass

from enforcement.policy import Purpose
from flows.messaging.message import MessageKind
from store.audit import AuditAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One journey's words."""

    started: AuditAction
    limit_reached: AuditAction
    proof_given: AuditAction
    proof_refused: AuditAction
    refused: AuditAction
    """It ended after its first proof."""
    failed: AuditAction
    """The last step was not carried out; nothing was changed."""
    unknown: AuditAction
    code: MessageKind
    """Decides what is recorded when a code left."""


AUDITED: Mapping[Purpose, Audited] = {
    "reset": Audited(
        started=AuditAction.RESET_ATTEMPT_STARTED,
        limit_reached=AuditAction.RESET_LIMIT_REACHED,
        proof_given=AuditAction.RESET_PROOF_GIVEN,
        proof_refused=AuditAction.RESET_PROOF_REFUSED,
        refused=AuditAction.RESET_ATTEMPT_REFUSED,
        failed=AuditAction.RESET_PASSWORD_FAILED,
        unknown=AuditAction.RESET_OUTCOME_UNKNOWN,
        code=MessageKind.RESET_CODE,
    ),
    "unlock": Audited(
        started=AuditAction.UNLOCK_ATTEMPT_STARTED,
        limit_reached=AuditAction.UNLOCK_LIMIT_REACHED,
        proof_given=AuditAction.UNLOCK_PROOF_GIVEN,
        proof_refused=AuditAction.UNLOCK_PROOF_REFUSED,
        refused=AuditAction.UNLOCK_ATTEMPT_REFUSED,
        failed=AuditAction.UNLOCK_ACCOUNT_FAILED,
        unknown=AuditAction.UNLOCK_OUTCOME_UNKNOWN,
        code=MessageKind.UNLOCK_CODE,
    ),
    "change": Audited(
        started=AuditAction.CHANGE_ATTEMPT_STARTED,
        limit_reached=AuditAction.CHANGE_LIMIT_REACHED,
        proof_given=AuditAction.CHANGE_PROOF_GIVEN,
        proof_refused=AuditAction.CHANGE_PROOF_REFUSED,
        refused=AuditAction.CHANGE_ATTEMPT_REFUSED,
        failed=AuditAction.CHANGE_PASSWORD_FAILED,
        unknown=AuditAction.CHANGE_OUTCOME_UNKNOWN,
        code=MessageKind.CHANGE_CODE,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAudited:
    """The words of a journey that sets a password."""

    written: AuditAction
    refused: AuditAction
    """Ours or the directory's rules said no."""
    sessions_ended: AuditAction


RESET_AUDITED = PasswordAudited(
    written=AuditAction.RESET_PASSWORD_WRITTEN,
    refused=AuditAction.RESET_PASSWORD_REFUSED,
    sessions_ended=AuditAction.RESET_SESSIONS_ENDED,
)
CHANGE_AUDITED = PasswordAudited(
    written=AuditAction.CHANGE_PASSWORD_WRITTEN,
    refused=AuditAction.CHANGE_PASSWORD_REFUSED,
    sessions_ended=AuditAction.CHANGE_SESSIONS_ENDED,
)
