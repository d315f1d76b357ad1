"""A code sent to a phone: to a mobile as a text message or a call, to an office phone as a call."""

import datetime as dt
from collections.abc import Callable, Collection

from flows.authenticators import phone_number
from flows.authenticators.base import Prepared, Wish
from flows.authenticators.phone_number import Number
from flows.authenticators.sent_code import SentCode
from flows.errors import Unavailable, UnusableAddress, UnusableNumber
from flows.registering.binding import require_not_shared, require_room
from idp_plugin.base import Identity
from store.vault import Vault


class Phone(SentCode):
    """The secret is the number as `phone_number.Number` writes it, in UTF-8."""

    asks_destination = True

    def __init__(
        self,
        vault: Vault,
        *,
        region: str,
        ways: tuple[str, ...],
        is_allowed: Callable[[str, str], bool] = lambda _way, _number: True,
    ) -> None:
        """Take what all phones need.

        Args:
            vault: Keys for codes and look-ups.
            region: See `MessagesSettings.default_region`.
            ways: The channels that can leave; without any, none can be bound and none gets a code.
            is_allowed: Tells for a channel and a number in E.164 whether messages go there at all.
        """
        super().__init__(vault)
        self.ways = ways
        self._region = region
        self._is_allowed = is_allowed

    def mask(self, secret: bytes) -> str:
        """Return like `+31 •••••• 78`."""
        return phone_number.mask(phone_number.stored(secret))

    def is_destination(self, secret: bytes, typed: str) -> bool:
        """Compare whole numbers; an extension may be left out."""
        try:
            number = phone_number.parse(typed, self._region)
        except UnusableNumber:
            return False
        known = phone_number.stored(secret)
        return number.e164 == known.e164 and number.extension in {"", known.extension}

    def lookups(self, secret: bytes) -> tuple[str, ...]:
        """Return the number's digests."""
        return phone_number.lookups(self._vault, phone_number.stored(secret))

    def _prepared(self, number: Number, wish: Wish) -> Prepared:
        if not self.ways:
            raise Unavailable
        way = wish.way if wish.way in self.ways else self.ways[0]
        # Said to whoever is signed in; in a reset such a number is answered like any other (S4).
        if not self._is_allowed(way, number.e164):
            raise UnusableNumber("not_allowed")
        secret = str(number).encode()
        if any(each.kind == self.name and each.secret == secret for each in wish.own):
            raise UnusableNumber("registered")
        try:
            require_room(self.name, wish.own)
            require_not_shared(wish.transaction, self.name, self.lookups(secret), wish.rule)
        except UnusableAddress as error:
            raise UnusableNumber(error.why) from error
        return Prepared(secret, way, str(number))


class MobilePhone(Phone):
    """A number that its owner typed and showed to hold."""

    name = "mobile_phone"

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return the number that was typed, if it can get a text message and may be bound."""
        del now
        return self._prepared(phone_number.parse_mobile(wish.typed, self._region), wish)


class OfficePhone(Phone):
    """A number that the directory vouches for, as long as it does (S2)."""

    name = "office_phone"

    def suggestions(self, identity: Identity) -> tuple[str, ...]:
        """Return the directory's numbers that may be bound, as they are stored."""
        return tuple(dict.fromkeys(str(number) for number in self._numbers(identity)))

    def holds(self, secret: bytes, identity: Callable[[], Identity | None]) -> bool:
        """Tell whether the directory still has the number."""
        known = identity()
        return known is not None and phone_number.stored(secret) in self._numbers(known)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return the number that was chosen, if it is one of the directory's and may be bound."""
        del now
        identity = wish.identity()
        # Security: never a number that somebody typed freely (S2).
        known = {str(number): number for number in self._numbers(identity)} if identity else {}
        if wish.typed not in known:
            raise UnusableNumber("not_in_directory")
        return self._prepared(known[wish.typed], wish)

    def _numbers(self, identity: Identity) -> tuple[Number, ...]:
        return tuple(_readable(identity.trusted_phones, self._region))


def _readable(values: Collection[str], region: str) -> list[Number]:
    numbers = []
    for value in values:
        try:
            numbers.append(phone_number.parse(value, region))
        except UnusableNumber:
            # What a directory holds need not be a number at all.
            continue
    return numbers
