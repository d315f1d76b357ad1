"""Asking the gate about a sign-in whose relying party may be unknown."""

import datetime as dt

from enforcement.decision import Decision, Release
from enforcement.gate import Gate, possible_clients
from idp_plugin.base import SignIn


def ask_gate(gate: Gate, sign_in: SignIn, *, now: dt.datetime) -> Decision:
    """Return the gate's decision; for an unknown relying party the strictest over all that rules name.

    Raises:
        StoreUnavailable: The gate could not be asked.
        GroupsUnknown: The policy needs groups that the recogniser did not learn.
    """
    decision: Decision = Release("not_covered")
    for client_id in possible_clients(gate.current_policy(), sign_in.client_id):
        decision = gate.ask(
            sign_in.subject.source,
            sign_in.subject.id,
            session_id=sign_in.session_id,
            groups=sign_in.groups,
            roles=sign_in.roles,
            client_id=client_id,
            now=now,
        )
        if not isinstance(decision, Release):
            break
    return decision
