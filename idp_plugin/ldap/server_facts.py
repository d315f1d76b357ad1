"""The capability matrix: what a server says it is and can do, read once per server and remembered.

Every promise on a page comes from here and from the password policy; nothing is assumed of a product.
Source: RFC 4512 section 5.1 (root DSE), section 4.4 (subschema).
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from idp_plugin.ldap.address import Server
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.names import comparable
from idp_plugin.ldap.password_policy_control import PASSWORD_POLICY_OID

KEPT_SECONDS = 600.0

ACCOUNT_USABILITY = "1.3.6.1.4.1.42.2.27.9.5.8"
PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"  # noqa: S105 - an object identifier
POLICY_HINTS = ("1.2.840.113556.1.4.2239", "1.2.840.113556.1.4.2066")
_ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"

READ_ONLY_PRODUCTS = frozenset({"freeipa", "lldap"})
"""Where people can be found but no password is written: FreeIPA makes every password that somebody else set
expire at once and keeps its policy in Kerberos; LLDAP has no policy, no lock and no time of change."""

_ROOT_ATTRIBUTES = (
    "namingContexts",
    "subschemaSubentry",
    "supportedControl",
    "supportedExtension",
    "supportedCapabilities",
    "vendorName",
    "vendorVersion",
    "ipaDomainLevel",
    "structuralObjectClass",
)
_NAMES = re.compile(r"NAME\s+(?:'([^']+)'|\(\s*((?:'[^']+'\s*)+)\))")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One server's word on itself; empty where it says nothing."""

    product: str = ""
    """`openldap`, `ds389`, `active_directory`, `freeipa`, `lldap`, or empty where it cannot be told."""
    version: str = ""
    """As the server writes it; OpenLDAP states none."""
    naming_contexts: tuple[str, ...] = ()
    controls: frozenset[str] = frozenset()
    """Numbers of the request controls."""
    extensions: frozenset[str] = frozenset()
    """Numbers of the extended operations."""
    attributes: frozenset[str] = frozenset()
    """Every attribute name of the schema, in lower case; empty where the schema cannot be read."""

    @property
    def explains_refusals(self) -> bool:
        """Whether answers say by code why a password was refused."""
        return PASSWORD_POLICY_OID in self.controls

    @property
    def changes_by_extension(self) -> bool:
        """Whether passwords can be written by RFC 3062."""
        return PASSWORD_MODIFY in self.extensions

    @property
    def tells_usability(self) -> bool:
        """Whether it can be asked if an account is open; our account may lack the right to."""
        return ACCOUNT_USABILITY in self.controls

    @property
    def takes_policy_hints(self) -> bool:
        """Whether a reset can be held to the history."""
        return any(number in self.controls for number in POLICY_HINTS)

    @property
    def keeps_change_times(self) -> bool:
        """Whether an entry can say when its password was written, so that a lost answer is settled."""
        return bool({"pwdchangedtime", "pwdupdatetime", "pwdlastset"} & self.attributes)

    @property
    def knows_member_of(self) -> bool:
        """Whether the schema has `memberOf`; that it is kept for everybody does not follow."""
        return "memberof" in self.attributes

    def context_of(self, base: str) -> str:
        """Return the naming context that holds a DN; the DN itself where none is told."""
        inside = f",{comparable(base)}"
        return next((each for each in self.naming_contexts if inside.endswith(f",{comparable(each)}")), base)


def matrix(facts: ServerFacts) -> tuple[tuple[str, bool], ...]:
    """Return the rows that an operator is shown: what the server can do, and whether it does."""
    return (
        ("says by code why a password was refused", facts.explains_refusals),
        ("writes passwords by RFC 3062", facts.changes_by_extension),
        ("says whether an account is locked", facts.tells_usability),
        ("holds a reset to the history when asked to", facts.takes_policy_hints),
        ("keeps the time of a password's change", facts.keeps_change_times),
        ("knows memberOf", facts.knows_member_of),
        ("has passwords that Sparekey writes", facts.product not in READ_ONLY_PRODUCTS),
    )


class FactsReader:
    """Thread-safe; what a server changes about itself is seen after `KEPT_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._kept: dict[Server, tuple[float, ServerFacts]] = {}
        self._lock = threading.Lock()

    def of(self, session: Session) -> ServerFacts:
        """Return the facts of the server at the other end."""
        with self._lock:
            until, facts = self._kept.get(session.server, (0.0, None))
        if facts is not None and until > self._clock():
            return facts
        facts = read(session)
        with self._lock:
            self._kept[session.server] = (self._clock() + KEPT_SECONDS, facts)
        return facts


def read(session: Session) -> ServerFacts:
    """Ask a server for its root entry and its schema."""
    found = session.search("", "(objectClass=*)", _ROOT_ATTRIBUTES, below=False)
    if not found:
        return ServerFacts()
    root = found[0]
    return ServerFacts(
        product=_product(root),
        version=root.first("vendorVersion"),
        naming_contexts=root.all("namingContexts"),
        controls=frozenset(root.all("supportedControl")),
        extensions=frozenset(root.all("supportedExtension")),
        attributes=_schema_attributes(session, root.first("subschemaSubentry")),
    )


def _product(root: Entry) -> str:
    """Tell products apart by what only they announce."""
    vendor = f"{root.first('vendorName')} {root.first('vendorVersion')}".lower()
    if _ACTIVE_DIRECTORY in root.all("supportedCapabilities"):
        return "active_directory"
    if root.first("ipaDomainLevel"):
        return "freeipa"
    if "389" in vendor:
        return "ds389"
    if "lldap" in vendor:
        return "lldap"
    return "openldap" if root.first("structuralObjectClass") == "OpenLDAProotDSE" else ""


def _schema_attributes(session: Session, entry: str) -> frozenset[str]:
    if not entry:
        return frozenset()
    found = session.search(entry, "(objectClass=subschema)", ["attributeTypes"], below=False)
    definitions = found[0].all("attributeTypes") if found else ()
    return frozenset(name for definition in definitions for name in _names(definition))


def _names(definition: str) -> list[str]:
    found = _NAMES.search(definition)
    if found is None:
        return []
    return [found[1].lower()] if found[1] else [name.lower() for name in re.findall(r"'([^']+)'", found[2])]
