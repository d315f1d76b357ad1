"""Phone numbers: read as people type them, stored as E.164, refused with a reason that can be mended.

An extension follows as in RFC 3966: `+14255551234;ext=5678`.
"""

import re
import unicodedata
from dataclasses import dataclass, field

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType, ValidationResult

from flows.errors import UnusableNumber
from store.vault import Vault

LONGEST = 64
_DOTS = "••••••"
_WORLDWIDE = "001"
"""What the library calls satellites and networks of no country."""
# Letters are refused but for an extension's mark: no vanity numbers, nothing that only looks like digits.
_WRITTEN = re.compile(
    r"\+?[\d\s()./\-\u2010-\u2015]+(?:(?:;?\s*ext(?:ension)?\.?\s*=?|x|#)\s*(\d{1,7}))?", re.IGNORECASE
)
_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_COSTLY = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PERSONAL_NUMBER,
    }
)
_UNREADABLE = {
    NumberParseException.TOO_SHORT_AFTER_IDD: "too_short",
    NumberParseException.TOO_SHORT_NSN: "too_short",
    NumberParseException.TOO_LONG: "too_long",
}
_IMPOSSIBLE = {
    ValidationResult.TOO_SHORT: "too_short",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "too_short",
    ValidationResult.TOO_LONG: "too_long",
    ValidationResult.INVALID_COUNTRY_CODE: "country",
}


@dataclass(frozen=True, slots=True)
class Number:
    """One number that can be dialled from anywhere."""

    e164: str = field(repr=False)
    """Like `+31612345678`."""
    extension: str = field(default="", repr=False)
    """Digits that are dialled once somebody answers."""

    def __str__(self) -> str:
        """Return it as it is stored."""
        return f"{self.e164};ext={self.extension}" if self.extension else self.e164


@dataclass(frozen=True, slots=True)
class Preview:
    """How a number was read, for the person to check."""

    written: str
    """As people of all countries write it, like `+31 6 12345678`."""
    region: str
    """ISO 3166 code of its country."""
    is_mobile: bool
    """False where it is, or may be, a fixed line."""


def parse(typed: str, region: str) -> Number:
    """Return a number that exists, as far as its digits tell.

    Args:
        typed: In any script's digits, with blanks and marks as people write them.
        region: ISO 3166 code of the country whose national way of writing is understood; empty for none.

    Raises:
        UnusableNumber: `malformed`, `no_country`, `country`, `too_short`, `too_long`, `unassigned` or
            `costly` (premium rate, shared cost, toll-free, personal numbers, satellites).
    """
    written = _plain(typed)
    if len(typed) > LONGEST or not _WRITTEN.fullmatch(written):
        raise UnusableNumber("malformed")
    if not region and not written.startswith("+"):
        raise UnusableNumber("no_country")
    try:
        read = phonenumbers.parse(written, region or None)
    except NumberParseException as error:
        raise UnusableNumber(_unreadable(error, written)) from error
    possible = phonenumbers.is_possible_number_with_reason(read)
    if possible != ValidationResult.IS_POSSIBLE:
        raise UnusableNumber(_IMPOSSIBLE.get(possible, "unassigned"))
    if not phonenumbers.is_valid_number(read):
        raise UnusableNumber("unassigned")
    # Security: these are how strangers turn codes into money.
    if phonenumbers.number_type(read) in _COSTLY or _region(read) == _WORLDWIDE:
        raise UnusableNumber("costly")
    return Number(phonenumbers.format_number(read, PhoneNumberFormat.E164), read.extension or "")


def parse_mobile(typed: str, region: str) -> Number:
    """Return a number that can get a text message.

    Raises:
        UnusableNumber: As `parse`, and `not_mobile` or `extension`.
    """
    number = parse(typed, region)
    if number.extension:
        raise UnusableNumber("extension")
    if phonenumbers.number_type(_read(number)) not in _MOBILE:
        raise UnusableNumber("not_mobile")
    return number


def stored(secret: bytes) -> Number:
    """Return what was kept of a number."""
    e164, _, extension = secret.decode().partition(";ext=")
    return Number(e164, extension)


def preview(number: Number) -> Preview:
    """Return how a number was read."""
    read = _read(number)
    written = phonenumbers.format_number(read, PhoneNumberFormat.INTERNATIONAL)
    is_mobile = phonenumbers.number_type(read) == PhoneNumberType.MOBILE
    return Preview(
        f"{written} x{number.extension}" if number.extension else written, _region(read), is_mobile
    )


def mask(number: Number) -> str:
    """Return `+31 •••••• 78` for `+31612345678`: the country and two digits, always six dots."""
    return f"+{_read(number).country_code} {_DOTS} {number.e164[-2:]}"


def lookups(vault: Vault, number: Number) -> tuple[str, ...]:
    """Return the digests by which people who share a number are counted, the one to store first."""
    return vault.digests(str(number), "phone")


def _plain(typed: str) -> str:
    folded = unicodedata.normalize("NFKC", typed).strip()
    return "".join(str(unicodedata.digit(letter)) if letter.isdecimal() else letter for letter in folded)


def _unreadable(error: NumberParseException, written: str) -> str:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return "country" if written.startswith("+") else "no_country"
    return _UNREADABLE.get(error.error_type, "malformed")


def _read(number: Number) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(number.e164)


def _region(read: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.region_code_for_number(read) or _WORLDWIDE)
