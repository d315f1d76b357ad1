"""Which adapter speaks which dialect."""

from collections.abc import Mapping

from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.ds389 import Ds389
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.settings import DirectorySettings

Adapter = OpenLdap | Ds389 | ActiveDirectory

ADAPTERS: Mapping[str, type[Adapter]] = {
    "openldap": OpenLdap,
    "ds389": Ds389,
    "active_directory": ActiveDirectory,
}
"""By `DirectorySettings.kind`."""


def open_adapter(settings: DirectorySettings, subject_source: str) -> Adapter:
    """Return the adapter of a directory; nothing is asked yet.

    Args:
        settings: Of a directory that is reached from here.
        subject_source: `Identity.subject.source`.

    Raises:
        IdpMisconfigured: No server, or an unreadable authority file.
    """
    return ADAPTERS[settings.kind](settings, subject_source)
