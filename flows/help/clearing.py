"""An operator gives one person fresh limits, without learning or changing anything else."""

import datetime as dt
from collections.abc import Iterable
from typing import get_args

from enforcement.policy import Purpose
from flows.abuse.known_device import KnownDevices
from flows.abuse.throttle import Throttle
from flows.recovery.attempt import devices_of
from flows.typed_name import digest_of
from idp_plugin.base import Identity
from store.audit import AuditAction
from store.database import Database
from store.vault import Vault

_SIGNED_IN = ("bind", "prove")
"""Purposes of codes that a signed-in person asks for."""


class Clearing:
    """Forgets what was counted for somebody."""

    def __init__(
        self, *, database: Database, vault: Vault, throttle: Throttle, devices: KnownDevices
    ) -> None:
        self._database = database
        self._vault = vault
        self._throttle = throttle
        self._devices = devices

    def clear(self, identity: Identity, *, also: Iterable[str] = (), author: str, now: dt.datetime) -> bool:
        """Forget wrong answers, attempts and code messages, and record who wanted it.

        What was typed is counted under each name of the person: user name and mail addresses. What
        address blocks started, destinations got and messages cost stays counted; so do wrong old
        passwords, which the directory counts as well.

        Args:
            identity: The person as the directory knows them now.
            also: Other texts that people type for this person.
            author: Who wants it.
            now: Aware UTC time.

        Returns:
            Whether the person ever registered anything; limits of the names are cleared in either case.
        """
        with self._database.transaction() as transaction:
            person = transaction.people.by_subject(identity.subject.source, identity.subject.id)
            person_id = person.id if person else None
            transaction.audit.record(
                AuditAction.LIMITS_CLEARED, now=now, person_id=person_id, detail={"author": author}
            )
        typed = [digest_of(self._vault, each) for each in (identity.username, *identity.emails, *also)]
        devices = self._devices.ids_of(person_id) if person_id else ()
        names = [*typed, *(f"device:{device}:{each}" for device in devices for each in typed)]
        persons = [f"decoy:{each}" for each in typed]
        if person_id:
            names += [f"{what}:{person_id}" for what in ("person", "step-up", "registration-code")]
            persons += [person_id, f"step-up:{person_id}"]
            persons += [devices_of(person_id)]
            persons += [f"{person_id}:device:{device}" for device in devices]
        self._throttle.clear(names, persons, (*get_args(Purpose), *_SIGNED_IN))
        return person_id is not None
