"""A code sent to a private mail address."""

import datetime as dt
from collections.abc import Sequence

from flows.authenticators import email_address
from flows.authenticators.base import Prepared, Wish
from flows.authenticators.sent_code import SentCode
from flows.registering.binding import require_not_shared, require_usable_address
from store.vault import Vault


class EmailCode(SentCode):
    """The secret is the address in UTF-8."""

    name = "email"
    ways: tuple[str, ...] = ("email",)

    def __init__(self, vault: Vault, sign_in_domains: Sequence[str] = ()) -> None:
        """Take the mail domains whose mailboxes open with the very sign-in; see `MessagesSettings`."""
        super().__init__(vault)
        self._sign_in_domains = tuple(sign_in_domains)

    def mask(self, secret: bytes) -> str:
        """Return like `j•••@e•••.org`."""
        return email_address.mask(secret.decode())

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return the address that was typed, if it may be bound."""
        del now
        address = email_address.parse(wish.typed)
        require_usable_address(address, wish.identity(), wish.own, self._sign_in_domains)
        require_not_shared(wish.transaction, self.name, self.lookups(address.encode()), wish.rule)
        return Prepared(address.encode(), "email", address)

    def lookups(self, secret: bytes) -> tuple[str, ...]:
        """Return the mailbox's digests."""
        return email_address.lookups(self._vault, secret.decode())
