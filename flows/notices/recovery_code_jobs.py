"""What follows the use of a recovery code: its owner is told, at every address."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flows.authenticators import recovery_codes
from flows.notices.notifications import Notices, recipient
from idp_plugin.base import Directory, Subject
from store.authenticators import Authenticator
from store.database import Database

USED = "recovery_code.used"


def body_of_use(person_id: str, *, reference: str, now: dt.datetime) -> dict[str, str]:
    """Return the body of the job `USED`."""
    return {"person": person_id, "reference": reference, "at": now.isoformat()}


class RecoveryCodeJobs:
    """The job of recovery codes."""

    def __init__(self, *, database: Database, directory: Directory, notices: Notices) -> None:
        self._database = database
        self._directory = directory
        self._notices = notices

    def used(self, body: Mapping[str, Any]) -> None:
        """Tell that a code was used and how many are left; an error means: again later."""
        with self._database.reading() as transaction:
            person = transaction.people.get(body["person"])
            own = transaction.authenticators.of(body["person"])
        if person is None:
            return
        identity = self._directory.get(Subject(person.source, person.subject))
        self._notices.recovery_code_used(
            recipient(person.id, identity, own),
            left=codes_left(own),
            now=dt.datetime.fromisoformat(body["at"]),
            reference=body["reference"],
        )


def codes_left(own: tuple[Authenticator, ...]) -> int:
    """Return how many recovery codes a person has not used yet, in all sets that are not suspended."""
    sets = [each for each in own if each.kind == recovery_codes.NAME and each.suspended_at is None]
    return sum(recovery_codes.left(each.secret) for each in sets)
