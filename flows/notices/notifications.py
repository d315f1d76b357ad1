"""Who is told what: every address that the directory knows and every one that is registered."""

import datetime as dt
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from flows.authenticators import email_address
from flows.errors import UnusableAddress
from flows.messaging.dispatch import Dispatch
from flows.messaging.message import MessageKind
from flows.messaging.render import Draft, Render
from idp_plugin.base import Identity
from store.authenticators import Authenticator
from store.expiring import Expiring

STOP_LIVES = dt.timedelta(days=14)
STOP_PATH = "/not-me/"
"""Below the portal's address; the reference follows. Its page has a button: GET changes nothing."""
_STORED_AS = "stop"


@dataclass(frozen=True, slots=True)
class Stop:
    """What "this was not me" stands for."""

    person_id: str
    since: dt.datetime
    """What was bound from then on is suspended."""
    reference: str
    is_temporary: bool = False
    """Whether it tells of a temporary password: somebody else knows it, so it is made useless."""


_JSON = TypeAdapter(Stop)


class Stops:
    """References in notices; each stands for one event of one person."""

    def __init__(self, expiring: Expiring, portal: str) -> None:
        """Take the portal's public address with its prefix, like `https://sso.example.org/sparekey`."""
        self._expiring = expiring
        self._portal = portal

    def link(self, stop: Stop) -> str:
        """Return an address for a notice, good for two weeks."""
        reference = secrets.token_urlsafe(24)
        self._expiring.put(_STORED_AS, reference, _JSON.dump_json(stop), ttl=STOP_LIVES)
        return f"{self._portal}{STOP_PATH}{reference}"

    def read(self, reference: str) -> Stop | None:
        """Return what a reference stands for, and leave it: pressing twice does the same once more."""
        found = self._expiring.peek(_STORED_AS, reference)
        return _JSON.validate_json(found) if found else None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person's addresses."""

    person_id: str
    name: str
    addresses: tuple[str, ...]
    locale: str = ""
    """BCP 47, or empty."""


class Notices:
    """Writes notices and queues them."""

    def __init__(self, *, dispatch: Dispatch, render: Render, stops: Stops) -> None:
        self._dispatch = dispatch
        self._render = render
        self._stops = stops

    def password_reset(
        self, recipient: Recipient, *, now: dt.datetime, reference: str, certain: bool = True
    ) -> int:
        """Tell that a password was reset, or may have been; returns how many messages."""
        link = self._stops.link(Stop(recipient.person_id, now, reference))
        draft = self._render.in_language(recipient.locale).password_reset(
            name=recipient.name, at=now, stop_link=link, reference=reference, certain=certain
        )
        return self._post(recipient, draft, reference)

    def password_not_everywhere(
        self, recipient: Recipient, *, targets: Sequence[str], now: dt.datetime, reference: str
    ) -> int:
        """Tell where a new password does not work after all; returns how many messages."""
        link = self._stops.link(Stop(recipient.person_id, now, reference))
        draft = self._render.in_language(recipient.locale).password_not_everywhere(
            name=recipient.name, targets=targets, at=now, stop_link=link, reference=reference
        )
        return self._post(recipient, draft, reference)

    def account_unlocked(
        self, recipient: Recipient, *, now: dt.datetime, reference: str, certain: bool = True
    ) -> int:
        """Tell that a lock was ended, or may have been; returns how many messages."""
        link = self._stops.link(Stop(recipient.person_id, now, reference))
        draft = self._render.in_language(recipient.locale).account_unlocked(
            name=recipient.name, at=now, stop_link=link, reference=reference, certain=certain
        )
        return self._post(recipient, draft, reference)

    def method_added(self, recipient: Recipient, *, method: str, now: dt.datetime, reference: str) -> int:
        """Tell that an authenticator was bound; returns how many messages."""
        return self._post_method(Render.method_added, recipient, method, now, reference)

    def method_removed(self, recipient: Recipient, *, method: str, now: dt.datetime, reference: str) -> int:
        """Tell that an authenticator was removed; returns how many messages."""
        return self._post_method(Render.method_removed, recipient, method, now, reference)

    def recovery_code_used(self, recipient: Recipient, *, left: int, now: dt.datetime, reference: str) -> int:
        """Tell that a recovery code was used, and how many are left; returns how many messages."""
        link = self._stops.link(Stop(recipient.person_id, now, reference))
        draft = self._render.in_language(recipient.locale).recovery_code_used(
            name=recipient.name, left=left, at=now, stop_link=link, reference=reference
        )
        return self._post(recipient, draft, reference)

    def recovery_codes_renewed(self, recipient: Recipient, *, now: dt.datetime, reference: str) -> int:
        """Tell that new recovery codes voided the earlier ones; returns how many messages."""
        link = self._stops.link(Stop(recipient.person_id, now, reference))
        draft = self._render.in_language(recipient.locale).recovery_codes_renewed(
            name=recipient.name, at=now, stop_link=link, reference=reference
        )
        return self._post(recipient, draft, reference)

    def _post_method(
        self,
        write: Callable[..., Draft],
        recipient: Recipient,
        method: str,
        now: dt.datetime,
        reference: str,
    ) -> int:
        link = self._stops.link(Stop(recipient.person_id, now, reference))
        render = self._render.in_language(recipient.locale)
        draft = write(render, name=recipient.name, method=method, at=now, stop_link=link, reference=reference)
        return self._post(recipient, draft, reference)

    def _post(self, recipient: Recipient, draft: Draft, reference: str) -> int:
        for address in recipient.addresses:
            message = draft.to(address, MessageKind.NOTICE, reference)
            self._dispatch.post(message, person_id=recipient.person_id)
        return len(recipient.addresses)


def recipient(
    person_id: str, identity: Identity | None, authenticators: Iterable[Authenticator]
) -> Recipient:
    """Return whom a notice reaches: directory addresses first, then registered ones, each mailbox once.

    Suspended and not yet trusted addresses are told as well: they may be the owner's.
    """
    found = [*(identity.emails if identity else ())]
    found += [each.secret.decode() for each in authenticators if each.kind == "email"]
    addresses: dict[str, str] = {}
    for address in found:
        try:
            addresses.setdefault(email_address.comparable(address), email_address.parse(address))
        except UnusableAddress:
            # A directory may hold anything; what is no address cannot be told.
            continue
    name = identity.display_name if identity else ""
    return Recipient(person_id, name, tuple(addresses.values()), identity.locale if identity else "")
