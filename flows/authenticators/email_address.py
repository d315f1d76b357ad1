"""Mail addresses: a small strict parser, what is compared, what is shown."""

import re

import idna

from flows.errors import UnusableAddress
from store.vault import Vault

LONGEST = 254
_LONGEST_LOCAL = 64
# Source: RFC 5321 section 4.1.2 (dot-string); quoted local parts and address literals are refused.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOT = "•••"


def parse(typed: str) -> str:
    """Return an address as it is stored: trimmed, the domain in lower case and IDNA form.

    Raises:
        UnusableAddress: `malformed`.
    """
    local, at, domain = typed.strip().rpartition("@")
    if not at or len(typed) > LONGEST or len(local) > _LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        raise UnusableAddress("malformed")
    address = f"{local}@{_domain(domain)}"
    if len(address) > LONGEST:
        raise UnusableAddress("malformed")
    return address


def _domain(typed: str) -> str:
    try:
        domain = idna.encode(typed, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise UnusableAddress("malformed") from error
    labels = domain.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        raise UnusableAddress("malformed")
    return domain


def comparable(address: str) -> str:
    """Return the form in which two addresses are compared; case never makes two of one."""
    return address.strip().casefold()


def mailbox(address: str) -> str:
    """Return the mailbox behind an address: the part after a plus sign delivers to the same one."""
    local, _, domain = comparable(address).rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def lookups(vault: Vault, address: str) -> tuple[str, ...]:
    """Return the digests by which people who share an address are counted, the one to store first."""
    return vault.digests(mailbox(address), "address")


def mask(address: str) -> str:
    """Return `j•••@e•••.org` for `jane@example.org`: first letters and the last label, always three dots."""
    local, _, domain = address.rpartition("@")
    name, _, last = domain.rpartition(".")
    return f"{local[:1]}{_DOT}@{name[:1]}{_DOT}.{last}"
