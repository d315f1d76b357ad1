import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.authenticators import email_address
from flows.errors import UnusableAddress


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" jane@example.org\n", "jane@example.org"),
        ("Jane@EXAMPLE.org", "Jane@example.org"),
        ("o'hara+x@sub.example.org", "o'hara+x@sub.example.org"),
        ("jane@bücher.example", "jane@xn--bcher-kva.example"),
    ],
)
def test_addresses_are_kept_as_they_are_sent_to(typed: str, kept: str) -> None:
    assert email_address.parse(typed) == kept


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("jane@example.org", "j•••@e•••.org"),
        ("j@x.co.uk", "j•••@x•••.uk"),
        ("a-very-long-name@a-very-long-domain.example", "a•••@a•••.example"),
    ],
)
def test_a_mask_tells_no_length(address: str, masked: str) -> None:
    assert email_address.mask(address) == masked


def test_case_and_plus_parts_make_no_second_mailbox() -> None:
    assert email_address.mailbox("Jane+one@Example.org") == email_address.mailbox("jane@example.org")


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_refused(typed: str) -> None:
    try:
        address = email_address.parse(typed)
    except UnusableAddress:
        return
    assert address.isascii()
    assert address.isprintable()
    assert " " not in address
    assert len(address) <= email_address.LONGEST
