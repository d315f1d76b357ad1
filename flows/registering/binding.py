"""Binding an authenticator: what a new one is worth, and from when (S1, S2)."""

import datetime as dt
from collections.abc import Sequence

from enforcement.policy import Rule
from flows.authenticators import email_address
from flows.errors import UnusableAddress
from idp_plugin.base import Identity
from store.authenticators import Authenticator
from store.database import Transaction

LOST_WAITS = dt.timedelta(hours=24)
"""How long a binding waits at least that skips the proof of existing methods, whatever the policy says."""
MOST_OF_ONE_KIND = 5
HANDED_OUT = "registration_code"
"""Where an authenticator comes from that was bound with a code of the helpdesk's."""


def trusted_from(
    rule: Rule,
    *,
    proved: bool,
    second_factor: bool,
    lost: bool,
    now: dt.datetime,
    lost_waits: dt.timedelta = LOST_WAITS,
) -> dt.datetime:
    """Return from when a new authenticator proves something in a reset.

    It satisfies the gate at once. On a password alone it waits as long as the policy says; where existing
    methods are passed over it always waits, since this is how whoever stole a session would come in.

    Args:
        rule: The person's.
        proved: An existing authenticator was proved in this portal session.
        second_factor: The identity provider states more than a password.
        lost: Usable authenticators exist, and the person says that none of them is at hand.
        now: Aware UTC time.
        lost_waits: See `LOST_WAITS`.
    """
    if lost and not proved:
        return now + max(lost_waits, rule.trust_delay)
    if proved or second_factor:
        return now
    return now + rule.trust_delay


def require_usable_address(
    address: str, identity: Identity | None, own: Sequence[Authenticator], sign_in_domains: Sequence[str]
) -> None:
    """Check an address that one person wants to bind.

    Args:
        address: Parsed.
        identity: What the directory says of the person; None where it does not know them.
        own: What the person has registered already.
        sign_in_domains: Domains whose mailboxes open with the sign-in itself.

    Raises:
        UnusableAddress: `same_sign_in`, `registered` or `too_many`.
    """
    mailbox = email_address.mailbox(address)
    locked = {email_address.mailbox(mail) for mail in identity.emails[:1]} if identity else set()
    domains = {domain.casefold() for domain in sign_in_domains}
    # Security: a mailbox behind the same sign-in recovers nothing (S2).
    if mailbox in locked or mailbox.rpartition("@")[2] in domains:
        raise UnusableAddress("same_sign_in")
    mails = [each for each in own if each.kind == "email"]
    if mailbox in {email_address.mailbox(each.secret.decode()) for each in mails}:
        raise UnusableAddress("registered")
    require_room("email", own)


def require_room(kind: str, own: Sequence[Authenticator]) -> None:
    """Check that one more of a kind may be bound.

    Raises:
        UnusableAddress: `too_many`.
    """
    if sum(each.kind == kind for each in own) >= MOST_OF_ONE_KIND:
        raise UnusableAddress("too_many")


def require_not_shared(transaction: Transaction, kind: str, lookups: Sequence[str], rule: Rule) -> None:
    """Check that not too many other people registered the same address or number (S2).

    Raises:
        UnusableAddress: `shared`.
    """
    if transaction.authenticators.shared_by(kind, lookups) >= rule.people_per_address:
        raise UnusableAddress("shared")
