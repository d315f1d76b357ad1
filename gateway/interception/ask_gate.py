"""Asking the gate about a sign-in of which not everything may be known."""

import datetime as dt

from enforcement.decision import Decision
from enforcement.gate import Gate
from enforcement.situation import Situation
from idp_plugin.base import SignIn


def ask_gate(gate: Gate, sign_in: SignIn, *, now: dt.datetime) -> Decision:
    """Return the gate's decision; where something is unknown, the strictest of all that may be meant.

    Raises:
        StoreUnavailable: The gate could not be asked.
        GroupsUnknown: The policy needs groups that the recogniser did not learn.
    """
    return gate.ask(situation_of(sign_in, now=now), session_id=sign_in.session_id)


def situation_of(sign_in: SignIn, *, now: dt.datetime) -> Situation:
    """Return a sign-in as rules look at it."""
    return Situation(
        source=sign_in.subject.source,
        subject=sign_in.subject.id,
        groups=sign_in.groups,
        roles=sign_in.roles,
        client_id=sign_in.client_id,
        protocol=sign_in.protocol,
        address=sign_in.client_address,
        at=now,
    )
