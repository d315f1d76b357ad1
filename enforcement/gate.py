"""The gate: policy, gap, grace and decision, with the store around them."""

import dataclasses
import datetime as dt

from enforcement.breaker import Breaker
from enforcement.current_policy import CurrentPolicy
from enforcement.decision import Decision, Deny, Interrupt, Release, decide
from enforcement.fault_audit import Fault, FaultAudit
from enforcement.policy import GroupsUnknown, Policy, Rule
from enforcement.requirement import Facts
from store.audit import AuditAction
from store.database import Database
from store.gate_facts import GateFacts
from store.people import Postponements


class Gate:
    """Asked at every sign-in, and again before a held one is released."""

    def __init__(
        self, database: Database, *, policies: CurrentPolicy | None = None, breaker: Breaker | None = None
    ) -> None:
        """Take the store; `breaker` watches only the database unless another is given."""
        self._database = database
        self._policies = policies or CurrentPolicy(database)
        self._faults = FaultAudit(database)
        self.breaker = breaker or Breaker([database.ping])

    def current_policy(self) -> Policy:
        """Return the policy in force, at most one second old; raises as `CurrentPolicy.get`."""
        return self._policies.get()

    def last_known_policy(self) -> Policy | None:
        """Return the policy that was last in force, without asking the database."""
        return self._policies.last_known()

    def ask(
        self,
        source: str,
        subject: str,
        *,
        session_id: str,
        groups: frozenset[str] | None,
        roles: frozenset[str] | None = None,
        client_id: str = "",
        reference: str = "",
        now: dt.datetime,
    ) -> Decision:
        """Decide about one sign-in; an interruption is audited, a release costs one statement.

        Args:
            session_id: The IdP session, in which a postponement holds.
            groups: None where the recogniser did not learn them; so with roles.
            reference: For the audit event.

        Raises:
            StoreUnavailable: Tell `breaker.failed`; only while it is open does `answer_fault` count.
            GroupsUnknown: The policy needs groups or roles that were given as None.
            NoPolicy: None was ever stored.
        """
        policy = self._policies.get()
        rule = policy.rule_for(groups=groups, roles=roles, client_id=client_id)
        if rule is None or not rule.required:
            return Release("not_covered")
        known = self._database.gate_facts(source, subject)
        decision = _decided(policy, rule, known, session_id, now)
        if isinstance(decision, Interrupt):
            self._audit(decision, source, subject, client_id=client_id, reference=reference, now=now)
        if self._faults:
            self._faults.write()
        return decision

    def on_fault(self, rule: Rule | None) -> Release | Deny:
        """Answer for one rule while the gate cannot be asked; None is a sign-in of which nothing is asked."""
        if rule is None or not rule.required or rule.on_fault == "release":
            return Release("fault")
        return Deny("fault")

    def answer_fault(
        self,
        *,
        groups: frozenset[str] | None,
        roles: frozenset[str] | None = None,
        client_id: str = "",
        reference: str = "",
        now: dt.datetime,
    ) -> Release | Deny:
        """Answer for a sign-in while the breaker is open, by the policy last known; audited once it can be.

        Where the rule cannot be told, because groups are unknown, every rule must release; for an unknown
        client, the rules for every client that is named; without any policy the answer is no.
        """
        answer = self._fault(groups, roles, client_id)
        released = isinstance(answer, Release)
        action = (
            AuditAction.SIGN_IN_GATE_FAULT_RELEASED if released else AuditAction.SIGN_IN_GATE_FAULT_DENIED
        )
        self._faults.record(Fault(action, now, reference, client_id))
        return answer

    def _fault(
        self, groups: frozenset[str] | None, roles: frozenset[str] | None, client_id: str
    ) -> Release | Deny:
        policy = self._policies.last_known()
        if policy is None:
            return Deny("fault")
        try:
            rules: list[Rule | None] = [
                policy.rule_for(groups=groups, roles=roles, client_id=client)
                for client in possible_clients(policy, client_id)
            ]
        except GroupsUnknown:
            rules = [*policy.rules]
        answers = [self.on_fault(rule) for rule in rules]
        return next((answer for answer in answers if isinstance(answer, Deny)), Release("fault"))

    def _audit(
        self,
        decision: Interrupt,
        source: str,
        subject: str,
        *,
        client_id: str,
        reference: str,
        now: dt.datetime,
    ) -> None:
        with self._database.transaction() as transaction:
            transaction.audit.record(
                AuditAction.SIGN_IN_GATE_INTERRUPTED,
                now=now,
                person_id=transaction.people.ensure(source, subject, now=now).id,
                reference=reference,
                detail={"reason": decision.reason, "rule": decision.rule_name, "client": client_id},
            )


def possible_clients(policy: Policy, client_id: str) -> tuple[str, ...]:
    """Return the relying parties to ask for: the known one, else each that rules name, and any other.

    Security: whoever drops our cookie makes the relying party unknown; that must never help (S10).
    """
    if client_id:
        return (client_id,)
    return ("", *dict.fromkeys(client for rule in policy.rules for client in rule.who.clients))


def _decided(
    policy: Policy, rule: Rule, known: GateFacts | None, session_id: str, now: dt.datetime
) -> Decision:
    postponements = known.postponements if known else Postponements()
    decision = decide(rule, Facts.from_gate(known), postponements, session_id=session_id, now=now)
    if known is not None and decision == Release("covered"):
        return dataclasses.replace(decision, policy_version=policy.version, person_epoch=known.epoch)
    return decision
