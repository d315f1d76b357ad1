"""The whole configuration of an nginx with njs in front of the gateway: a text, and the modules it reads."""

import json
from collections.abc import Mapping
from pathlib import Path

from gateway.data_plane.nginx import NJS_SOURCES, TEMPLATES, Edge, Recognised, lua_settings, stated
from gateway.data_plane.printable import plain
from gateway.plane.rewriting import REQUEST_FIELDS, REQUEST_PREFIXES, Treatment
from gateway.settings import Settings
from store.vault import Vault

MODULES = ("claim", "python", "request", "link", "response")


def configuration(
    settings: Settings, edge: Edge, *, recogniser: Recognised, vault: Vault, folder: Path
) -> str:
    """Return the configuration, and write what njs reads into a folder: it cannot stand in the text.

    Neither holds a secret.

    Raises:
        NotPrintableError: A path or name holds what nginx would read otherwise.
    """
    text = TEMPLATES.get_template("nginx.conf.jinja").render(
        **stated(settings, edge, recogniser),
        script_template="njs.jinja",
        modules=[],
        scripts=plain(folder.absolute()),
        socket=plain(settings.gateway.data_plane_socket),
        dropped_fields=dropped_fields(),
    )
    _write(folder, lua_settings(settings, recogniser, vault))
    return text


def dropped_fields() -> list[str]:
    """Return the names of what the provider must not see, as `more_clear_input_headers` takes them."""
    names = [field for field, treatment in REQUEST_FIELDS.items() if treatment is Treatment.DROP]
    return [*(name.decode() for name in names), *(f"{start.decode()}*" for start in REQUEST_PREFIXES)]


def _write(folder: Path, told: Mapping[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.js").write_text(f"export default {json.dumps(told, indent=2)};\n", "utf-8")
    for name in MODULES:
        (folder / f"{name}.js").write_text((NJS_SOURCES / f"{name}.js").read_text("utf-8"), "utf-8")
