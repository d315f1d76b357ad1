"""`docs/settings.md` and `deploy/sparekey.example.toml`, written from the settings' own docstrings.

`python -m gateway.cli.settings_pages` writes both; `--check` says which is not current.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from gateway.settings import Settings

MANUAL = Path("docs/settings.md")
EXAMPLE = Path("deploy/sparekey.example.toml")
WIDTH = 100

INTRODUCTION = """\
# Settings

<!-- Written by `make docs` from the settings' own docstrings; change those. -->

Sparekey reads `sparekey.toml`. A file named after a setting in the secrets directory overrides it, and an
environment variable `SPAREKEY_SECTION__NAME` overrides both: `SPAREKEY_IDP__CLIENT_SECRET` is
`client_secret` in section `[idp]`. Settings without a default are needed. Unknown names are refused, and
`sparekey check` lists every problem at once. A sample to start from is `deploy/sparekey.example.toml`.
"""

HEADER = """\
# Sparekey's settings. Lines with a value are needed; lines behind '#' show the default.
# Written by `make docs` from the settings' own docstrings.
"""

SAMPLES: dict[str, object] = {
    "gateway.public": "https://sso.example.org",
    "gateway.tls.certificate": "/etc/sparekey/tls/chain.pem",
    "gateway.tls.key": "/etc/sparekey/tls/key.pem",
    "idp.address": "http://127.0.0.1:8180",
    "idp.issuer": "https://sso.example.org/realms/corp",
    "idp.client_secret": "put it in the secrets directory",
    "directories.name": "corp",
    "directories.servers": ["ldaps://ldap.example.org:636"],
    "directories.ca": "/etc/sparekey/directory-ca.pem",
    "directories.bind_dn": "cn=sparekey,ou=services,dc=example,dc=org",
    "directories.bind_password": "put it in the secrets directory",
    "directories.base": "ou=people,dc=example,dc=org",
    "targets.directory": "corp",
    "messages.sms.smpp.host": "smsc.example.net",
    "messages.sms.smpp.system_id": "sparekey",
    "messages.sms.http.name": "texts",
    "messages.sms.http.url": "https://sms.example.net/v1/messages",
    "messages.sms.http.receipts.secret": "put it in the secrets directory, 32 letters",
    "messages.voice.http.name": "calls",
    "messages.voice.http.url": "https://voice.example.net/v1/calls",
    "messages.voice.http.receipts.secret": "put it in the secrets directory, 32 letters",
    "forward_auth.proxies.address": "127.0.0.1",
    "forward_auth.proxies.states": "x_original",
    "identities.name": "partner",
    "identities.issuer": "https://id.example.net",
    "identities.client_id": "sparekey",
    "identities.client_secret": "put it in the secrets directory",
    "messages.voice.http.key": "put it in the secrets directory, 32 letters",
    "vault.keys": ["put them in the secrets directory"],
    "policies.file": "/etc/sparekey/policies.toml",
}
"""What the example says for settings that have no default."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file."""

    path: tuple[str, ...]
    """Names from the root."""
    purpose: str
    """One paragraph."""
    model: type[BaseModel]
    """Declares its settings."""
    is_list: bool
    """Whether the file may hold several."""
    is_optional: bool
    """Whether it may be absent."""

    @property
    def heading(self) -> str:
        """The line that opens the table in the file."""
        name = ".".join(self.path)
        return f"[[{name}]]" if self.is_list else f"[{name}]"

    def settings(self) -> list[tuple[str, FieldInfo]]:
        """Return the settings of this table, without the tables inside it."""
        fields = self.model.model_fields
        return [(name, field) for name, field in fields.items() if _nested(field) is None]


def sections() -> Iterator[Section]:
    """Yield every table of the file, outer before inner, in the order of declaration."""
    root = Section((), "", Settings, is_list=False, is_optional=False)
    yield from _inner(root)


def _inner(outer: Section) -> Iterator[Section]:
    for name, field in outer.model.model_fields.items():
        model = _nested(field)
        if model is None:
            continue
        section = Section(
            path=(*outer.path, name),
            purpose=_paragraph(field.description),
            model=model,
            is_list=get_origin(field.annotation) is tuple,
            is_optional=not field.is_required(),
        )
        yield section
        yield from _inner(section)


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    candidates = (field.annotation, *get_args(field.annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())


def manual() -> str:
    """Return the text of `docs/settings.md`."""
    return "\n".join(
        [INTRODUCTION, *(_chapter(section) for section in sections() if any(section.settings()))]
    )


def _chapter(section: Section) -> str:
    lines = [f"## `{section.heading}`", "", section.purpose]
    if section.is_list:
        lines[-1] += " Repeat the table for each."
    lines += ["", "| setting | default | meaning |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | {_default_cell(field)} | {_cell(_meaning(field))} |"
        for name, field in section.settings()
    ]
    return "\n".join([*lines, ""])


def _default_cell(field: FieldInfo) -> str:
    return "**needed**" if field.is_required() else f"`{_toml(field.get_default())}`"


def _meaning(field: FieldInfo) -> str:
    return " ".join(filter(None, [_paragraph(field.description), _choices(field), _bounds(field)]))


def _choices(field: FieldInfo) -> str:
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    return f"One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""


def _bounds(field: FieldInfo) -> str:
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    bounds = [
        f"{word} {getattr(constraint, name)}"
        for name, word in words.items()
        for constraint in field.metadata
        if hasattr(constraint, name)
    ]
    return f"{', '.join(bounds).capitalize()}." if bounds else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def example() -> str:
    """Return the text of `deploy/sparekey.example.toml`."""
    return "\n".join([HEADER, *map(_table, filter(Section.settings, sections()))])


def _table(section: Section) -> str:
    # A table that may be absent stays a comment as a whole, so that its needed settings are not asked for.
    is_absent = section.is_optional and any(field.is_required() for _, field in section.settings())
    is_shown = not is_absent or section.is_list
    lines = [*_comment(section.purpose), section.heading if is_shown else f"# {section.heading}"]
    for name, field in section.settings():
        lines += ["", *_comment(_meaning(field))]
        line = f"{name} = {_toml(_example_value(section, name, field))}"
        lines.append(line if field.is_required() and is_shown else f"# {line}")
    return "\n".join([*lines, ""])


def _example_value(section: Section, name: str, field: FieldInfo) -> object:
    return SAMPLES[".".join((*section.path, name))] if field.is_required() else field.get_default()


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + len(word) >= WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line] if line != "#" else lines


def _toml(value: Any) -> str:
    if value is None:
        return '""'
    if isinstance(value, SecretStr):
        return json.dumps(value.get_secret_value())
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value))


def pages() -> dict[Path, str]:
    """Return what each generated file should say."""
    return {MANUAL: manual(), EXAMPLE: example()}


def stale() -> list[Path]:
    """Return the generated files that do not say what they should, seen from the project's folder."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write both files, or with `--check` only say which are stale."""
    if arguments == ["--check"]:
        for path in stale():
            print(f"{path} is not current: run `make docs`", file=sys.stderr)
        return 1 if stale() else 0
    for path, text in pages().items():
        path.write_text(text, "utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
