"""What somebody typed as a name: the same text, whatever its case and width."""

import unicodedata

from store.vault import Vault

LONGEST_IDENTIFIER = 256


def can_be_a_name(identifier: str) -> bool:
    """Tell whether any directory could know it: neither empty, nor endless, nor with control characters."""
    if not identifier.strip() or len(identifier) > LONGEST_IDENTIFIER:
        return False
    return not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in identifier.strip())


def normalised(identifier: str) -> str:
    """Return what visible limits count for a typed name; the directory gets what was typed (S7)."""
    return unicodedata.normalize("NFKC", identifier[:LONGEST_IDENTIFIER]).casefold().strip()


def digest_of(vault: Vault, identifier: str) -> str:
    """Return what is kept of a typed name: its keyed digest."""
    return vault.digest(normalised(identifier), "identifier")
