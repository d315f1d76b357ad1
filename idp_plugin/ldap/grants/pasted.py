"""What an operator pastes: the service account and its rights, by kind of directory, as in `deploy/`."""

import importlib.resources
import re
from collections.abc import Mapping

_FILES: Mapping[str, tuple[str, ...]] = {
    "openldap": ("account.ldif", "openldap.conf"),
    "ds389": ("account.ldif", "ds389.ldif"),
    "active_directory": ("active_directory.sh", "active_directory.ps1"),
}
_PACKAGE = "idp_plugin.ldap.grants"
KINDS = tuple(_FILES)
_UNSAFE = re.compile(r"[\"'`$\\@\x00-\x1f\x7f]")
"""What would end or change the line that a value is put into."""


class Unquotable(Exception):
    """A value that cannot be put into every one of these snippets as it is; `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def grants(kind: str, places: Mapping[str, str]) -> Mapping[str, str]:
    """Return what to paste, by the name of the file that it would be.

    Args:
        kind: One of `KINDS`.
        places: `suffix`, `people` and `account`; for LDAP directories `groups`, `account_name` and `password`
            as well.

    Raises:
        Unquotable: One of the places has letters that would have to be escaped.
    """
    for name, value in places.items():
        if _UNSAFE.search(value):
            raise Unquotable(name)
    return {file: _filled(file, places) for file in _FILES[kind]}


def _filled(file: str, places: Mapping[str, str]) -> str:
    text = importlib.resources.files(_PACKAGE).joinpath(file).read_text("utf-8")
    for name, value in places.items():
        text = text.replace(f"@{name}@", value)
    return text
