"""New versions of the policy: in force at once, unless they are weaker for somebody.

A weaker one waits until a second person approves it, and until people had time to notice it (S23). So does
one that is found in the policy file at start: two people have to answer for it then, because nobody knows who
wrote the file.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from enforcement.policy import Policy, PolicyInvalid, from_document, load
from enforcement.weakening import Weakening, weakenings
from store.audit import AuditAction, Detail
from store.database import Database, Transaction
from store.policies import StoredPolicy
from store.proposals import Proposal

Why = Literal["unknown", "outdated", "same_person", "too_early"]


class ProposalRefused(Exception):
    """A proposal cannot be approved: there is none, another version came first, or as `why` says."""

    def __init__(self, why: Why, until: dt.datetime | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.until = until
        """From when it may be approved; only where it is too early."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A version that is not in force yet."""

    number: int
    author: str
    """Who answers for it; empty while nobody does."""
    proposed_at: dt.datetime
    weaker: tuple[Weakening, ...]
    """In what it is weaker than the version in force."""
    is_new: bool = True
    """Whether it has only now begun to wait."""


def put_forward(database: Database, text: str, *, author: str, now: dt.datetime) -> Policy | Waiting:
    """Put a document (TOML) in force, or have it wait for a second person where it is weaker.

    Args:
        text: The document.
        author: Who answers for it; empty where nobody is known to.
        now: Aware UTC time.

    Returns:
        The policy in force, or what waits.

    Raises:
        PolicyInvalid: With every problem; nothing is stored.
        Conflict: Another document was stored at the same time.
    """
    policy = load(text)
    with database.transaction() as transaction:
        newest = transaction.policies.newest()
        weaker = _weaker(newest, policy)
        if newest is None or not weaker:
            return _stored(transaction, policy, author, now)
        proposal, is_new = _proposed(transaction, newest.version, policy, author, now)
        if is_new:
            _record_proposed(transaction, proposal, weaker, now)
    return Waiting(proposal.number, proposal.author, proposal.proposed_at, weaker, is_new)


def waiting(database: Database) -> tuple[Waiting, ...]:
    """Return every version that waits, oldest first."""
    with database.reading() as transaction:
        newest = transaction.policies.newest()
        proposals = transaction.proposals.all()
    return tuple(
        Waiting(each.number, each.author, each.proposed_at, _weaker(newest, _policy_of(each)), is_new=False)
        for each in proposals
    )


def approve(
    database: Database, number: int, *, author: str, now: dt.datetime, delay: dt.timedelta
) -> Policy | Waiting:
    """Put a version in force that another person proposed.

    Args:
        number: Of the proposal.
        author: Who approves.
        now: Aware UTC time.
        delay: How long it has to wait at least.

    Returns:
        The policy in force; or what goes on waiting, now that somebody answers for it.

    Raises:
        ProposalRefused: `unknown`, `outdated`, `same_person` or `too_early`.
        Conflict: Another document was stored at the same time.
    """
    with database.transaction(commit_on=(ProposalRefused,)) as transaction:
        proposal = _current(transaction, number, author, now)
        policy = _policy_of(proposal)
        if not proposal.author:
            transaction.proposals.sign(number, author)
            weaker = _weaker(transaction.policies.newest(), policy)
            return Waiting(number, author, proposal.proposed_at, weaker)
        if proposal.author == author:
            raise ProposalRefused("same_person")
        if now < proposal.proposed_at + delay:
            raise ProposalRefused("too_early", proposal.proposed_at + delay)
        transaction.proposals.drop(number)
        detail: Detail = {"number": number, "author": proposal.author, "approved_by": author}
        transaction.audit.record(AuditAction.POLICY_APPROVED, now=now, detail=detail)
        return _stored(transaction, policy, proposal.author, now)


def reject(database: Database, number: int, *, author: str, now: dt.datetime) -> None:
    """Drop a version that waits; whoever may propose may do that.

    Raises:
        ProposalRefused: `unknown`.
    """
    with database.transaction() as transaction:
        if transaction.proposals.get(number) is None:
            raise ProposalRefused("unknown")
        _drop(transaction, number, author, now)


def _current(transaction: Transaction, number: int, author: str, now: dt.datetime) -> Proposal:
    proposal = transaction.proposals.get(number)
    if proposal is None:
        raise ProposalRefused("unknown")
    # Security: what was shown to be weaker was compared with another version than the one in force.
    if proposal.base != transaction.policies.newest_version():
        _drop(transaction, number, author, now)
        raise ProposalRefused("outdated")
    return proposal


def _drop(transaction: Transaction, number: int, author: str, now: dt.datetime) -> None:
    transaction.proposals.drop(number)
    detail: Detail = {"number": number, "author": author}
    transaction.audit.record(AuditAction.POLICY_REJECTED, now=now, detail=detail)


def _stored(transaction: Transaction, policy: Policy, author: str, now: dt.datetime) -> Policy:
    before = transaction.policies.newest_version()
    stored = transaction.policies.store(policy.document(), author=author or "file", now=now)
    if stored.version != before:
        detail: Detail = {"version": stored.version, "author": author or "file"}
        transaction.audit.record(AuditAction.POLICY_STORED, now=now, detail=detail)
    return policy.model_copy(update={"version": stored.version})


def _proposed(
    transaction: Transaction, base: int, policy: Policy, author: str, now: dt.datetime
) -> tuple[Proposal, bool]:
    """Return the proposal, and whether it has only now begun to wait."""
    known = {each.number for each in transaction.proposals.all()}
    proposal = transaction.proposals.add(policy.document(), author=author, base=base, now=now)
    return proposal, proposal.number not in known


def _record_proposed(
    transaction: Transaction, proposal: Proposal, weaker: tuple[Weakening, ...], now: dt.datetime
) -> None:
    detail: Detail = {
        "number": proposal.number,
        "author": proposal.author or "file",
        "weaker": " ".join(sorted({each.told for each in weaker})),
    }
    transaction.audit.record(AuditAction.POLICY_PROPOSED, now=now, detail=detail)


def _weaker(newest: StoredPolicy | None, policy: Policy) -> tuple[Weakening, ...]:
    if newest is None:
        return ()
    try:
        return weakenings(from_document(newest.document), policy)
    except PolicyInvalid:
        # An older Sparekey stored it, and nothing is in force now: without this one nobody is held at all.
        return ()


def _policy_of(proposal: Proposal) -> Policy:
    return from_document(proposal.document)
