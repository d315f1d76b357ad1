"""Numbers of forty countries, as people write them at home and abroad, right and wrong."""

import pytest

from flows.authenticators import phone_number
from flows.authenticators.phone_number import Number
from flows.errors import UnusableNumber
from store.vault import Vault

# Source: each country's own numbering plan; the way of writing is the one usual there.
MOBILES = (
    ("NL", "06 12345678", "+31612345678", "06 1234567"),
    ("DE", "0151 23456789", "+4915123456789", "0151 234567"),
    ("FR", "06 12 34 56 78", "+33612345678", "06 12 34 56 7"),
    ("ES", "612 34 56 78", "+34612345678", "612 34 56 7"),
    ("GB", "07400 123456", "+447400123456", "07400 12345"),
    ("IE", "085 012 3456", "+353850123456", "085 012 345"),
    ("BE", "0470 12 34 56", "+32470123456", "0470 12 34 5"),
    ("LU", "628 123 456", "+352628123456", "628 123 45"),
    ("IT", "312 345 6789", "+393123456789", "312 345"),
    ("PT", "912 345 678", "+351912345678", "912 345 67"),
    ("AT", "0664 123456", "+43664123456", "0664 1"),
    ("CH", "078 123 45 67", "+41781234567", "078 123 45 6"),
    ("DK", "20 12 34 56", "+4520123456", "20 12 34 5"),
    ("NO", "406 12 345", "+4740612345", "406 12 34"),
    ("SE", "070-123 45 67", "+46701234567", "070-123 4"),
    ("FI", "041 2345678", "+358412345678", "041 23"),
    ("PL", "512 345 678", "+48512345678", "512 345 67"),
    ("CZ", "601 123 456", "+420601123456", "601 123 45"),
    ("HU", "06 20 123 4567", "+36201234567", "06 20 123 456"),
    ("RO", "0712 034 567", "+40712034567", "0712 034 56"),
    ("GR", "691 234 5678", "+306912345678", "691 234 567"),
    ("TR", "0501 234 56 78", "+905012345678", "0501 234 56 7"),
    ("UA", "050 123 4567", "+380501234567", "050 123 456"),
    ("US", "(201) 555-0123", "+12015550123", "(201) 555-012"),
    ("CA", "506-234-5678", "+15062345678", "506-234-567"),
    ("MX", "222 123 4567", "+522221234567", "222 123 456"),
    ("BR", "(11) 96123-4567", "+5511961234567", "(11) 96123"),
    ("AR", "011 15-2345-6789", "+5491123456789", "011 15-2345"),
    ("CL", "(2) 2123 4567", "+56221234567", "(2) 2123 456"),
    ("AU", "0412 345 678", "+61412345678", "0412 345 67"),
    ("NZ", "021 123 4567", "+64211234567", "021 123"),
    ("JP", "090-1234-5678", "+819012345678", "090-1234-567"),
    ("KR", "010-2000-0000", "+821020000000", "010-2000"),
    ("CN", "131 2345 6789", "+8613123456789", "131 2345 678"),
    ("IN", "081234 56789", "+918123456789", "081234 5678"),
    ("SG", "8123 4567", "+6581234567", "8123 456"),
    ("ZA", "071 123 4567", "+27711234567", "071 123 456"),
    ("NG", "0802 123 4567", "+2348021234567", "0802 123 456"),
    ("EG", "0100 123 4567", "+201001234567", "0100 123 456"),
    ("SA", "051 234 5678", "+966512345678", "051 234 567"),
    ("AE", "050 123 4567", "+971501234567", "050 123 456"),
    ("IL", "050-234-5678", "+972502345678", "050-234-567"),
)


def why(typed: str, region: str = "NL") -> str:
    with pytest.raises(UnusableNumber) as refused:
        phone_number.parse_mobile(typed, region)
    return refused.value.why


@pytest.mark.parametrize(("region", "at_home", "stored", "_short"), MOBILES)
def test_a_mobile_is_read_as_it_is_written_at_home(
    region: str, at_home: str, stored: str, _short: str
) -> None:
    assert phone_number.parse_mobile(at_home, region) == Number(stored)


@pytest.mark.parametrize(("region", "_at_home", "stored", "_short"), MOBILES)
def test_a_mobile_is_read_from_abroad(region: str, _at_home: str, stored: str, _short: str) -> None:
    written = phone_number.preview(Number(stored)).written
    assert phone_number.parse_mobile(written, "") == Number(stored)
    assert phone_number.parse_mobile(written, "NL" if region != "NL" else "US") == Number(stored)
    assert phone_number.preview(Number(stored)).region == region


@pytest.mark.parametrize(("region", "_at_home", "_stored", "short"), MOBILES)
def test_a_number_that_lacks_digits_is_refused(region: str, _at_home: str, _stored: str, short: str) -> None:
    assert why(short, region) in {"too_short", "unassigned", "not_mobile"}


@pytest.mark.parametrize(
    "typed",
    [
        "+31 (0)6 12345678",
        "0031 6 1234 5678",
        "+31-6-12 34 56 78",
        "06.12.34.56.78",
        "06/12345678",
        "٠٦١٢٣٤٥٦٧٨",
        "０６１２３４５６７８",  # noqa: RUF001 - the same
        "  0612345678  ",
    ],
)
def test_one_number_is_one_however_it_is_written(typed: str) -> None:
    assert phone_number.parse_mobile(typed, "NL") == Number("+31612345678")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "+",
        "hello",
        "O612345678",
        "06 l2345678",
        "О612345678",  # noqa: RUF001 - a Cyrillic letter that looks like a nought
        "1-800-FLOWERS",
        "06 12345678\x00",
        "06 12345678\n06 12345679",
        "tel:+31612345678",
        "+31612345678,,123",
        "9" * 10_000,
        "x5678",
    ],
)
def test_what_is_no_number_is_refused(typed: str) -> None:
    assert why(typed) == "malformed"


def test_each_mistake_has_its_own_name() -> None:
    assert why("0612345678", "") == "no_country"
    assert why("+999 123456") == "country"
    assert why("06 123456789012345") == "too_long"
    assert why("06 1") == "too_short"
    assert why("06 02345678") == "unassigned"
    assert why("020 624 1111") == "not_mobile"
    assert why("+1 201 555 0123 x5", "US") == "extension"


@pytest.mark.parametrize(
    "typed",
    [
        "0900 1234",
        "0800 1234567",
        "+44 9012 345678",
        "+44 843 012 3456",
        "+44 70 1234 5678",
        "+49 900 1 234567",
        "+1 900 234 5678",
        "+1 800 234 5678",
        "+33 891 12 34 56",
        "+800 1234 5678",
        "+8816 1234 5678",
        "+882 16 1234 5678",
        "+979 123 456 789",
    ],
)
def test_what_costs_extra_is_refused(typed: str) -> None:
    assert why(typed) in {"costly", "unassigned", "not_mobile"}
    with pytest.raises(UnusableNumber):
        phone_number.parse(typed, "NL")


@pytest.mark.parametrize(
    "typed", ["+1 425 555 1234 x5678", "+1 425 555 1234 ext. 5678", "+14255551234;ext=5678"]
)
def test_an_office_phone_keeps_its_extension(typed: str) -> None:
    number = phone_number.parse(typed, "")
    assert number == Number("+14255551234", "5678")
    assert phone_number.stored(str(number).encode()) == number
    assert phone_number.preview(number).written == "+1 425-555-1234 x5678"


def test_its_owner_sees_the_country_and_two_digits() -> None:
    assert phone_number.mask(Number("+31612345678")) == "+31 •••••• 78"
    assert phone_number.mask(Number("+14255551234", "5678")) == "+1 •••••• 34"


def test_no_log_shows_a_number() -> None:
    assert "31612345678" not in repr(Number("+31612345678", "99"))


def test_people_who_share_a_number_are_counted_together() -> None:
    vault = Vault([b"k" * 32])
    mine, same = phone_number.parse("06 12345678", "NL"), phone_number.parse("+31 6 12345678", "")
    assert phone_number.lookups(vault, mine) == phone_number.lookups(vault, same)
    assert phone_number.lookups(vault, mine) != phone_number.lookups(vault, Number("+31612345679"))
