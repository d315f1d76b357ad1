"""What a domain controller says of itself, and what follows from it.

Source: [MS-ADTS] section 3.1.1.3.2 (root DSE) and 3.1.1.3.4.1.27 (policy hints).
"""

from dataclasses import dataclass

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.ldap.connection import Session
from idp_plugin.ldap.message import Control
from idp_plugin.ldap.security_descriptor import MalformedDescriptor, security_id
from idp_plugin.ldap.server_facts import POLICY_HINTS

_ENFORCE_POLICY = bytes.fromhex("30 03 02 01 01")
"""SEQUENCE { Flags INTEGER 1 }: a reset obeys the history as a change does."""

ACCESS_LIST: Control = ("1.2.840.113556.1.4.801", True, bytes.fromhex("30 03 02 01 04"))
"""Asks for the access list alone: owner and audit would need rights that we do not have."""


@dataclass(frozen=True, slots=True)
class RootEntry:
    """The part of the root DSE that this package uses."""

    domain: str
    """DN of the domain's head."""
    controls: frozenset[str]
    is_samba: bool
    own_ids: frozenset[str]
    """Security identifiers of the bound account: its own and its groups'. Empty where it does not say."""

    @property
    def policy_hints(self) -> tuple[Control, ...]:
        """The control that makes a reset obey the history; none where the server knows none."""
        known = next((number for number in POLICY_HINTS if number in self.controls), None)
        return ((known, True, _ENFORCE_POLICY),) if known else ()


def root_entry(session: Session) -> RootEntry:
    """Read it, bound.

    Raises:
        IdpMisconfigured: This is no domain controller.
    """
    attributes = ("defaultNamingContext", "supportedControl", "vendorName", "tokenGroups")
    found = session.search("", "(objectClass=*)", attributes, below=False)
    if not found or not found[0].first("defaultNamingContext"):
        raise IdpMisconfigured(f"{session.server} is no domain controller")
    root = found[0]
    return RootEntry(
        domain=root.first("defaultNamingContext"),
        controls=frozenset(root.all("supportedControl")),
        is_samba=root.first("vendorName").startswith("Samba"),
        own_ids=readable_ids(root.attributes.get("tokengroups", ())),
    )


def readable_ids(values: tuple[bytes, ...]) -> frozenset[str]:
    """Return the identifiers as text; empty where any of them cannot be read."""
    try:
        return frozenset(map(security_id, values))
    except MalformedDescriptor:
        return frozenset()
