import base64
import datetime as dt
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.authenticators import totp

# Source: RFC 6238 appendix B, SHA-1; the last six of its eight digits.
SEED = b"12345678901234567890"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


def at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_vectors_of_the_standard_match(seconds: int, code: str) -> None:
    assert totp.matching_step(SEED, code, at(seconds)) == seconds // 30


@pytest.mark.parametrize("answer", ["", "287083", "28708", "2870820", "94287082", "\ud800", "x" * 10_000])
def test_nothing_else_matches(answer: str) -> None:
    assert totp.matching_step(SEED, answer, at(59)) is None


@given(st.integers(min_value=10**8, max_value=10**10))
def test_a_code_counts_for_three_steps(seconds: int) -> None:
    step = seconds // 30
    code = totp.pyotp.TOTP(totp.base32(SEED)).generate_otp(step)
    for drift in (-1, 0, 1):
        assert totp.matching_step(SEED, code, at((step + drift) * 30)) is not None


def test_the_address_for_the_qr_code_carries_the_seed_and_the_names() -> None:
    address = urlsplit(totp.uri(SEED, account="jane", organisation="Example Company"))
    query = parse_qs(address.query)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert base64.b32decode(query["secret"][0]) == SEED
    assert query["issuer"] == ["Example Company"]


def test_seeds_are_long_and_not_the_same() -> None:
    seeds = {totp.new_seed() for _ in range(50)}
    assert len(seeds) == 50
    assert {len(seed) for seed in seeds} == {20}
