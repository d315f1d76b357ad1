"""Reasons to ask somebody at the next sign-in whether everything registered still is right."""

import datetime as dt
import json
from collections.abc import Iterable

from idp_plugin.base import Identity, Subject
from store.audit import AuditAction
from store.database import Database, Transaction
from store.people import Evidence
from store.vault import Vault

_PURPOSE = "directory"


def put_in_doubt(
    transaction: Transaction, person_id: str, why: Evidence, *, now: dt.datetime, author: str = ""
) -> None:
    """Have the person asked; recorded in the audit.

    Args:
        author: The operator who asked for it, if one did.
    """
    transaction.people.doubt(person_id, why, now=now)
    detail = {"why": why.value} | ({"author": author} if author else {})
    transaction.audit.record(
        AuditAction.REGISTRATION_AUTHENTICATOR_DOUBTED, now=now, person_id=person_id, detail=detail
    )


def ask_again(database: Database, subject: Subject, *, author: str, now: dt.datetime) -> bool:
    """Have one person asked, by an operator; False for somebody who registered nothing."""
    with database.transaction() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        if person is None or person.registered_at is None:
            return False
        put_in_doubt(transaction, person.id, Evidence.ASKED, now=now, author=author)
    return True


def compare_directory(
    database: Database, vault: Vault, identities: Iterable[Identity], *, now: dt.datetime
) -> int:
    """Have everybody asked of whom the directory says something else than when it was last compared.

    Only who registered something is compared; the first time, it is only remembered what the directory says.

    Returns:
        How many will be asked.
    """
    return sum(_compare(database, vault, identity, now) for identity in identities)


def _compare(database: Database, vault: Vault, identity: Identity, now: dt.datetime) -> bool:
    said = json.dumps([sorted({*values}) for values in (identity.emails, identity.phones)])
    with database.transaction() as transaction:
        person = transaction.people.by_subject(identity.subject.source, identity.subject.id)
        if person is None or person.registered_at is None:
            return False
        before = person.directory_digest
        # Compared under every key, so that a rotation of keys changes nobody's addresses.
        is_other = bool(before) and not vault.digest_matches(_own(said, person.id), _PURPOSE, before or "")
        transaction.people.note_directory(person.id, vault.digest(_own(said, person.id), _PURPOSE))
        if is_other:
            put_in_doubt(transaction, person.id, Evidence.DIRECTORY, now=now)
    return is_other


def _own(said: str, person_id: str) -> str:
    # Two people with the same addresses have different digests.
    return f"{person_id} {said}"
