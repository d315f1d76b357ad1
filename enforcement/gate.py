"""The gate: policy, gap, grace and decision, with the store around them."""

import logging

from enforcement.breaker import Breaker
from enforcement.current_policy import CurrentPolicy
from enforcement.decision import Decision, Deny, Interrupt, Release
from enforcement.explanation import Explanation, explain
from enforcement.fault_audit import Fault, FaultAudit
from enforcement.policy import Policy, Rule
from enforcement.sightings import FRESH, Sightings
from enforcement.situation import Situation
from store.audit import AuditAction, Detail
from store.database import Database
from store.errors import StoreError

_Event = tuple[AuditAction, Detail]
_log = logging.getLogger(__name__)


class Gate:
    """Asked at every sign-in, and again before a held one is released."""

    def __init__(
        self, database: Database, *, policies: CurrentPolicy | None = None, breaker: Breaker | None = None
    ) -> None:
        """Take the store; `breaker` watches only the database unless another is given."""
        self._database = database
        self._policies = policies or CurrentPolicy(database)
        self._faults = FaultAudit(database)
        self.sightings = Sightings(database)
        self.breaker = breaker or Breaker([database.ping])

    def current_policy(self) -> Policy:
        """Return the policy in force, at most one second old; raises as `CurrentPolicy.get`."""
        return self._policies.get()

    def last_known_policy(self) -> Policy | None:
        """Return the policy that was last in force, without asking the database."""
        return self._policies.last_known()

    def ask(self, situation: Situation, *, session_id: str, reference: str = "") -> Decision:
        """Decide about one sign-in; an interruption is audited, a release costs one statement.

        Args:
            situation: With its subject and its moment.
            session_id: The IdP session, in which a postponement holds.
            reference: For the audit event.

        Raises:
            StoreUnavailable: Tell `breaker.failed`; only while it is open does `answer_fault` count.
            GroupsUnknown: The policy needs groups or roles that were given as None.
            NoPolicy: None was ever stored.
        """
        explained = self.explain(situation, session_id=session_id)
        decision = explained.decision
        if isinstance(decision, Interrupt):
            self._audit([_interrupted(decision)], situation, reference)
        self._see(explained, situation)
        if noted := [*_reported(explained), *_withheld(explained)]:
            self._note(noted, situation, reference)
        if self._faults:
            self._faults.write()
        return decision

    def explain(self, situation: Situation, *, session_id: str) -> Explanation:
        """Return what `ask` would decide, with every rule that spoke; changes nothing and raises the same."""
        return explain(
            self._policies.get(),
            situation,
            lambda: self._database.gate_facts(situation.source, situation.subject),
            session_id=session_id,
        )

    def on_fault(self, rule: Rule | None) -> Release | Deny:
        """Answer for one rule while the gate cannot be asked; None is a sign-in of which nothing is asked."""
        if rule is None or not rule.required or rule.on_fault == "release":
            return Release("fault")
        return Deny("fault")

    def answer_fault(self, situation: Situation, *, reference: str = "") -> Release | Deny:
        """Answer for a sign-in while the breaker is open, by the policy last known; audited once it can be.

        Where the rule cannot be told, because groups or the relying party are unknown, every rule that may
        be meant must release; without any policy the answer is no.
        """
        answer = self._fault(situation)
        released = isinstance(answer, Release)
        action = (
            AuditAction.SIGN_IN_GATE_FAULT_RELEASED if released else AuditAction.SIGN_IN_GATE_FAULT_DENIED
        )
        self._faults.record(Fault(action, situation.moment, reference, situation.client_id))
        return answer

    def _fault(self, situation: Situation) -> Release | Deny:
        policy = self._policies.last_known()
        if policy is None:
            return Deny("fault")
        answers = [self.on_fault(rule) for rule in policy.possible_rules(situation)]
        return next((answer for answer in answers if isinstance(answer, Deny)), Release("fault"))

    def _see(self, explained: Explanation, situation: Situation) -> None:
        known = explained.facts
        if known is None or explained.decision.reason != "covered" or not explained.asks_about_absence:
            return
        if known.seen_at is None or situation.moment - known.seen_at >= FRESH:
            self.sightings.note(known.person_id, now=situation.moment)

    def _note(self, events: list[_Event], situation: Situation, reference: str) -> None:
        """Write what changes nothing about the sign-in; where it cannot be written, the log has it."""
        try:
            self._audit(events, situation, reference)
        except StoreError:
            for action, detail in events:
                _log.exception("not audited: %s of rule %s", action.value, detail.get("rule", ""))

    def _audit(self, events: list[_Event], situation: Situation, reference: str) -> None:
        now = situation.moment
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(situation.source, situation.subject, now=now)
            for action, detail in events:
                transaction.audit.record(
                    action,
                    now=now,
                    person_id=person.id,
                    reference=reference,
                    detail={**detail, "client": situation.client_id},
                )


def _interrupted(decision: Interrupt) -> _Event:
    detail = {"reason": decision.reason, "rule": decision.rule_name}
    return AuditAction.SIGN_IN_GATE_INTERRUPTED, detail


def _withheld(explained: Explanation) -> list[_Event]:
    stop = explained.withheld
    if stop is None:
        return []
    return [(AuditAction.SIGN_IN_GATE_WITHHELD, {"reason": stop.reason, "rule": stop.rule_name})]


def _reported(explained: Explanation) -> list[_Event]:
    return [
        (
            AuditAction.SIGN_IN_GATE_REPORTED,
            {"reason": each.decision.reason, "rule": each.decision.rule_name},
        )
        for each in explained.spoken
        if each.heard.part == "reports" and isinstance(each.decision, Interrupt)
    ]
