"""Verification codes: six digits, sent now, good for one attempt and one kind."""

import secrets
import unicodedata

from store.vault import Vault

DIGITS = 6
_PURPOSE = "code"
_LONGEST_ANSWER = 64


def new_code() -> str:
    """Return six random digits.

    Source: NIST SP 800-63B-4 section 3.1.3.1 asks for at least six decimal digits.
    """
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def digest(vault: Vault, code: str, *, bound_to: str, kind: str) -> str:
    """Return what is stored of a code: a keyed digest that only this attempt and kind can match."""
    return vault.digest(_bound(code, bound_to, kind), _PURPOSE)


def matches(vault: Vault, answer: str, stored: str, *, bound_to: str, kind: str) -> bool:
    """Compare an answer as typed with a stored digest, in constant time."""
    return vault.digest_matches(_bound(digits_of(answer), bound_to, kind), _PURPOSE, stored)


def digits_of(answer: str) -> str:
    """Return the digits of an answer as typed or pasted: "123 456", "123-456" and full-width digits count.

    Anything else that is not a digit stays, so that it matches nothing.
    """
    folded = unicodedata.normalize("NFKC", answer[:_LONGEST_ANSWER])
    return "".join(
        letter for letter in folded if not letter.isspace() and letter not in "-\u2010\u2011\u2013"
    )


def _bound(code: str, bound_to: str, kind: str) -> str:
    return f"{bound_to}\n{kind}\n{code}"
