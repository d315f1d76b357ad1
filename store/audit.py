"""Audit: what happened, for people; a database fact that joins its transaction."""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from store.event_codes import code_of
from store.models import AuditRow
from store.prepared import PreparedWrite

Detail = Mapping[str, str | int | bool]
_INSERT = PreparedWrite(
    insert(AuditRow).values(
        {name: bindparam(name) for name in ("at", "action", "person_id", "reference", "detail")}
    )
)


class AuditAction(enum.StrEnum):
    """`object:subject:action`."""

    SIGN_IN_GATE_RELEASED = "sign_in:gate:released"
    """A sign-in that had been held was let go, because the gate was asked again and agreed."""
    SIGN_IN_GATE_INTERRUPTED = "sign_in:gate:interrupted"
    """A sign-in was held: something that the policy asks for is missing."""
    SIGN_IN_GATE_REPORTED = "sign_in:gate:reported"
    """A rule that only reports would have held this sign-in."""
    SIGN_IN_GATE_WITHHELD = "sign_in:gate:withheld"
    """Something is missing, and the sign-in was let go because of the policy's maintenance."""
    SIGN_IN_GATE_DENIED = "sign_in:gate:denied"
    """A sign-in was refused."""
    SIGN_IN_GATE_POSTPONED = "sign_in:gate:postponed"
    """The person said "later"."""
    SIGN_IN_GATE_FAULT_RELEASED = "sign_in:gate:fault_released"
    """The gate could not be asked, and the policy lets such sign-ins pass."""
    SIGN_IN_GATE_FAULT_DENIED = "sign_in:gate:fault_denied"
    """The gate could not be asked, and the policy refuses such sign-ins."""
    SIGN_IN_HOLD_STARTED = "sign_in:hold:started"
    """A sign-in waits while its person registers."""
    SIGN_IN_HOLD_RELEASED = "sign_in:hold:released"
    """A held sign-in was handed on to its relying party."""
    SIGN_IN_HOLD_REFUSED = "sign_in:hold:refused"
    """A held sign-in was asked for by somebody who may not have it (S11)."""
    SIGN_IN_LOOP_ENDED = "sign_in:loop:ended"
    """The same sign-in came round too often and was stopped."""
    SIGN_IN_SESSION_MISSED = "sign_in:session:missed"
    """The IdP set a session cookie in a response that was not recognised as a sign-in (S8)."""
    REGISTRATION_AUTHENTICATOR_ADDED = "registration:authenticator:added"
    """An authenticator was bound."""
    REGISTRATION_AUTHENTICATOR_REMOVED = "registration:authenticator:removed"
    """An authenticator was removed."""
    REGISTRATION_AUTHENTICATOR_CONFIRMED = "registration:authenticator:confirmed"
    """The person said that everything registered is still right; the clock restarted."""
    REGISTRATION_AUTHENTICATOR_DOUBTED = "registration:authenticator:doubted"
    """What is registered must be confirmed at the next sign-in; the detail says why, and who asked for it."""
    REGISTRATION_AUTHENTICATOR_SUSPENDED = "registration:authenticator:suspended"
    """An authenticator no longer counts nor proves anything."""
    REGISTRATION_AUTHENTICATOR_REFUSED = "registration:authenticator:refused"
    """A binding or a change was refused."""
    REGISTRATION_CODE_SENT = "registration:code:sent"
    """A verification code was sent to an address that is to be bound."""
    REGISTRATION_CODE_REFUSED = "registration:code:refused"
    """A verification code for a binding did not match or came too late."""
    REGISTRATION_CODE_ISSUED = "registration:handed_out_code:issued"
    """A code was handed to a person, with which new ways back in count at once; the detail says by whom."""
    REGISTRATION_PROOF_GIVEN = "registration:proof:given"
    """An existing authenticator was proved before recovery data was changed (S1)."""
    REGISTRATION_PROOF_REFUSED = "registration:proof:refused"
    """The proof of an existing authenticator failed."""
    RESET_ATTEMPT_STARTED = "reset:attempt:started"
    """Somebody typed a name; whether it exists is not said."""
    RESET_CODE_SENT = "reset:code:sent"
    """A verification code was sent for a reset."""
    RESET_PROOF_GIVEN = "reset:proof:given"
    """One gate of a reset was passed."""
    RESET_PROOF_REFUSED = "reset:proof:refused"
    """An answer in a reset did not match."""
    RESET_ATTEMPT_REFUSED = "reset:attempt:refused"
    """A reset ended after its first proof: disabled, privileged, too young, frozen or not covered."""
    RESET_PASSWORD_WRITTEN = "reset:password:written"  # noqa: S105 - an event's name
    """A new password was written."""
    RESET_PASSWORD_REFUSED = "reset:password:refused"  # noqa: S105 - an event's name
    """The directory's or our rules refused the new password."""
    RESET_PASSWORD_FAILED = "reset:password:failed"  # noqa: S105 - an event's name
    """The new password could not be written; nothing was changed."""
    RESET_OUTCOME_UNKNOWN = "reset:outcome:unknown"
    """The write was sent and its answer lost (S19)."""
    RESET_SESSIONS_ENDED = "reset:sessions:ended"
    """The person's sessions were ended; the detail says how many remain."""
    RESET_LIMIT_REACHED = "reset:limit:reached"
    """A limit stopped a reset."""
    UNLOCK_ATTEMPT_STARTED = "unlock:attempt:started"
    """Somebody typed a name whose account may be locked; whether it exists is not said."""
    UNLOCK_CODE_SENT = "unlock:code:sent"
    """A verification code was sent for an unlock."""
    UNLOCK_PROOF_GIVEN = "unlock:proof:given"
    """One gate of an unlock was passed."""
    UNLOCK_PROOF_REFUSED = "unlock:proof:refused"
    """An answer in an unlock did not match."""
    UNLOCK_ATTEMPT_REFUSED = "unlock:attempt:refused"
    """An unlock ended after its first proof: closed for good, privileged, frozen or not covered."""
    UNLOCK_ACCOUNT_UNLOCKED = "unlock:account:unlocked"
    """A temporary lock was ended; the detail says where."""
    UNLOCK_ACCOUNT_NOT_LOCKED = "unlock:account:not_locked"
    """Everything was proved, and there was no lock; nothing was changed."""
    UNLOCK_ACCOUNT_FAILED = "unlock:account:failed"
    """The lock could not be ended; nothing was changed."""
    UNLOCK_OUTCOME_UNKNOWN = "unlock:outcome:unknown"
    """The order to end the lock was sent and its answer lost."""
    UNLOCK_LIMIT_REACHED = "unlock:limit:reached"
    """A limit stopped an unlock."""
    CHANGE_ATTEMPT_STARTED = "change:attempt:started"
    """Somebody typed a name whose password may have expired; whether it exists is not said."""
    CHANGE_CODE_SENT = "change:code:sent"
    """A verification code was sent for a change."""
    CHANGE_PROOF_GIVEN = "change:proof:given"
    """The proof beside the old password was given."""
    CHANGE_PROOF_REFUSED = "change:proof:refused"
    """An answer in a change did not match."""
    CHANGE_ATTEMPT_REFUSED = "change:attempt:refused"
    """A change ended: disabled, privileged, too young, frozen or not covered."""
    CHANGE_OLD_PASSWORD_REFUSED = "change:old_password:refused"  # noqa: S105 - an event's name
    """The old password did not match, or the directory keeps the account locked."""
    CHANGE_PASSWORD_WRITTEN = "change:password:written"  # noqa: S105 - an event's name
    """The person changed the password, knowing the old one."""
    CHANGE_PASSWORD_REFUSED = "change:password:refused"  # noqa: S105 - an event's name
    """The directory's or our rules refused the new password."""
    CHANGE_PASSWORD_FAILED = "change:password:failed"  # noqa: S105 - an event's name
    """The new password could not be written; nothing was changed."""
    CHANGE_OUTCOME_UNKNOWN = "change:outcome:unknown"
    """The write was sent and its answer lost (S19)."""
    CHANGE_SESSIONS_ENDED = "change:sessions:ended"
    """The person's sessions were ended; the detail says how many remain."""
    CHANGE_LIMIT_REACHED = "change:limit:reached"
    """A limit stopped a change."""
    ATTEMPT_MOVED = "attempt:browser:moved"
    """An attempt went on in another browser, which typed the code; the first one's ended (S15)."""
    NAME_ASKED = "name:message:asked"
    """Somebody typed an address to learn its name; whether anybody registered it is not said."""
    NAME_SENT = "name:message:sent"
    """The names that belong to an address were mailed there."""
    CONTACT_ASKED = "contact:message:asked"
    """Somebody asked for help; whether the name exists is not said."""
    CONTACT_PASSED_ON = "contact:message:passed_on"
    """A request for help left for those who may help; the detail says how many."""
    CONTACT_REFUSED = "contact:message:refused"
    """A request for help went to nobody: an unknown name, told before, or nobody has the role."""
    CONTACT_SENT = "contact:message:sent"
    """A request for help was delivered to one of those who may help."""
    HELP_INVITATION_POSTED = "help:invitation:posted"
    """An administrator had the person invited to set a new password; the detail says who."""
    HELP_INVITATION_SENT = "help:invitation:sent"
    """The invitation was delivered to an address of the person."""
    HELP_PASSWORD_WRITTEN = "help:password:written"  # noqa: S105 - an event's name
    """An administrator set a temporary password; the detail says who."""
    HELP_PASSWORD_REFUSED = "help:password:refused"  # noqa: S105 - an event's name
    """An administrator's reset was refused or failed; the detail says who and why."""
    ALARM_SENT = "alarm:message:sent"
    """An administrator was told of a grave event."""
    NOTICE_QUEUED = "notice:message:queued"
    """A message was put on the queue; later rows with the same message id tell what became of it."""
    NOTICE_WAITING = "notice:message:waiting"
    """A message could not be delivered yet and is tried again; the detail says how often it was tried."""
    PASSWORD_BREACHES_UNASKED = "password:breaches:unasked"  # noqa: S105 - an event's name
    """Nobody could tell whether a new password has leaked; the settings say whether it was accepted."""
    NOTICE_SENT = "notice:message:sent"
    """A notice left for an address of the person."""
    NOTICE_FAILED = "notice:message:failed"
    """A notice could not be delivered after every retry."""
    POLICY_STORED = "policy:document:stored"
    """A new version of the policy document came into force."""
    POLICY_PROPOSED = "policy:document:proposed"
    """A version that is weaker for somebody waits for a second person; the detail says in what."""
    POLICY_APPROVED = "policy:document:approved"
    """A second person approved a weaker version; the detail says who proposed it and who approved."""
    POLICY_REJECTED = "policy:document:rejected"
    """A version that waited was dropped; the detail says by whom."""
    RECOVERY_FROZEN = "recovery:person:frozen"
    """"This was not me": recovery is frozen, nothing was deleted (S23)."""
    RECOVERY_CODE_USED = "recovery:code:used"
    """A recovery code was used up; the detail says how many are left of its set."""
    LIMITS_CLEARED = "limits:person:cleared"
    """An operator gave a person fresh limits; the detail says who did."""
    MESSAGE_DELIVERED = "messages:receipt:delivered"
    """A provider's receipt says that the phone has a text message, or that a call was answered."""
    MESSAGE_UNDELIVERED = "messages:receipt:failed"
    """A provider's receipt, or a mail server's report, says that a message never arrives; a reason to ask for
    the number or address anew."""
    MESSAGES_SPIKED = "messages:rate:spiked"
    """Far more messages leave by one channel than usual; the detail says which and how many."""
    MESSAGE_REFUSED = "messages:budget:refused"
    """A message did not leave because of its country or price, or because a budget was used up."""
    PASSKEY_COPIED = "recovery:passkey:copied"
    """A passkey's signature counter did not grow: somebody may hold a copy. The answer proved nothing."""
    HELPDESK_CODE_ISSUED = "recovery:helpdesk_code:issued"
    """The helpdesk handed out a code for one attempt of one person; the detail says who."""
    HELPDESK_CODE_USED = "recovery:helpdesk_code:used"
    """Such a code was one proof of an attempt; the detail says who had handed it out."""
    RECOVERY_UNFROZEN = "recovery:person:unfrozen"
    """Recovery works again."""
    PORTAL_SIGNED_IN = "portal:session:started"
    """Somebody signed in to Sparekey's own pages through the IdP."""
    PORTAL_SIGNED_OUT = "portal:session:ended"
    """A portal session ended, by the person or by the IdP's back channel."""
    PORTAL_SIGN_IN_REFUSED = "portal:session:refused"
    """A sign-in to our own pages did not fit the person or the request that it was begun for."""
    AGENT_INVITED = "writeback:agent:invited"
    """An operator made a token with which an agent may join."""
    AGENT_JOINED = "writeback:agent:joined"
    """An agent joined and its key was pinned."""
    AGENT_REFUSED = "writeback:agent:refused"
    """Somebody tried to join with a token that is unknown, used or too old."""
    AGENT_KEYS_ADOPTED = "writeback:agent:keys_adopted"
    """An agent rolled its keys, and the gateway uses the new ones."""
    AGENT_REVOKED = "writeback:agent:revoked"
    """An operator let an agent work no more."""
    TARGET_WRITTEN_LATE = "writeback:target:written_late"
    """A place that had not answered has the new password now; the detail says which."""
    TARGET_GIVEN_UP = "writeback:target:given_up"
    """A place did not take the new password in time and is not tried again; the detail says which and why."""
    KEYS_ROTATED = "keys:vault:rotated"
    """Secrets at rest were sealed under the newest key."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event; `detail` holds no secret, code, address or typed text."""

    id: int
    at: dt.datetime
    action: AuditAction
    person_id: str | None
    reference: str
    """The reference number that was shown, if one was."""
    detail: dict[str, Any]


class Audit:
    """Audit events, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(
        self,
        action: AuditAction,
        *,
        now: dt.datetime,
        person_id: str | None = None,
        reference: str = "",
        detail: Detail | None = None,
    ) -> None:
        """Record an event; it commits or vanishes with its transaction."""
        stored = dict(detail or {})
        code = code_of(action.value, stored)
        if code is not None:
            stored["code"] = code
        row = {"at": now, "action": action.value, "person_id": person_id, "reference": reference}
        _INSERT.run(self._connection, **row, detail=stored)

    def recent(self, person_id: str, limit: int = 20) -> tuple[AuditEvent, ...]:
        """Return the person's newest events, newest first."""
        return self.find(person_id=person_id, limit=limit)

    def find(
        self,
        *,
        action: AuditAction | None = None,
        person_id: str | None = None,
        reference: str | None = None,
        since: dt.datetime | None = None,
        limit: int = 1000,
    ) -> tuple[AuditEvent, ...]:
        """Return the events that fit everything given, newest first."""
        query = select(AuditRow).order_by(AuditRow.at.desc(), AuditRow.id.desc())
        if action is not None:
            query = query.where(AuditRow.action == action.value)
        if person_id is not None:
            query = query.where(AuditRow.person_id == person_id)
        if reference is not None:
            query = query.where(AuditRow.reference == reference)
        if since is not None:
            query = query.where(AuditRow.at >= since)
        return tuple(_event(row) for row in self._connection.execute(query.limit(limit)))


def _event(row: Row[Any]) -> AuditEvent:
    return AuditEvent(row.id, row.at, AuditAction(row.action), row.person_id, row.reference, dict(row.detail))
