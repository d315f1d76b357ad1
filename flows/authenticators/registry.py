"""Every kind there is, by name."""

from collections.abc import Mapping

from flows.authenticators.base import Kind
from flows.authenticators.email_code import EmailCode
from flows.authenticators.recovery_codes import RecoveryCodes
from flows.authenticators.totp import Totp
from store.vault import Vault

Kinds = Mapping[str, Kind]


def all_kinds(vault: Vault) -> Kinds:
    """Return the kinds by the names that policies use."""
    kinds: tuple[Kind, ...] = (EmailCode(vault), Totp(), RecoveryCodes())
    return {kind.name: kind for kind in kinds}
