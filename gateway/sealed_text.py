"""Facts that travel through a browser's address, sealed: what strangers can ask for must fill no memory.

Whoever opens a page without signing in could otherwise make us keep a record for each visit.
"""

import base64
import binascii
import json
from collections.abc import Mapping

from store.errors import SealBroken
from store.vault import Vault

LONGEST = 12_288


def seal_text(vault: Vault, facts: Mapping[str, str], context: str) -> str:
    """Return the facts as text for an address; nobody else can read or make it."""
    sealed = vault.seal(json.dumps(facts).encode(), context)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_text(vault: Vault, text: str, context: str) -> dict[str, str]:
    """Return the facts; none where the text is not ours, or was made for something else."""
    if len(text) > LONGEST:
        return {}
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        facts: dict[str, str] = json.loads(vault.open(sealed, context))
    except (binascii.Error, SealBroken, ValueError):
        return {}
    return facts
