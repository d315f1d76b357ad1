"""Applies the LDIF that a page of `deploy/` shows, so that what the page says is what is tested."""

import re
from pathlib import Path

import ldap3

_FENCE = re.compile(r"```ldif\n(.*?)```", re.DOTALL)
_OPERATIONS = {"add": ldap3.MODIFY_ADD, "replace": ldap3.MODIFY_REPLACE, "delete": ldap3.MODIFY_DELETE}

Changes = dict[str, list[tuple[str, list[str]]]]


def apply(connection: ldap3.Connection, page: Path) -> None:
    """Apply every LDIF block of a Markdown page, in order; anything but success is an error."""
    for block in _FENCE.findall(page.read_text(encoding="utf-8")):
        for record in filter(None, (part.strip() for part in block.split("\n\n"))):
            lines = [tuple(line.split(": ", 1)) for line in record.splitlines()]
            _apply(connection, lines)


def _apply(connection: ldap3.Connection, lines: list[tuple[str, ...]]) -> None:
    (_, dn), (_, change), *rest = lines
    if change == "add":
        attributes: dict[str, list[str]] = {}
        for name, value in rest:
            attributes.setdefault(name, []).append(value)
        classes = attributes.pop("objectClass")
        is_done = connection.add(dn, classes, attributes)
    else:
        is_done = connection.modify(dn, _changes(rest))
    assert is_done, (dn, connection.result)


def _changes(lines: list[tuple[str, ...]]) -> Changes:
    changes: Changes = {}
    operation, name = "", ""
    for line in lines:
        if line == ("-",):
            operation = ""
        elif not operation:
            operation, name = line
            changes[name] = [(_OPERATIONS[operation], [])]
        else:
            changes[name][-1][1].append(line[1])
    return changes
