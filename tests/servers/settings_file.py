"""Settings of a gateway, for tests and benchmarks, and the file to start it with."""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from idp_plugin.demo.provider import SESSION_COOKIE
from idp_plugin.demo.servers import GATEWAY_CLIENT, RunningDemo

Sections = Mapping[str, Any]
"""Settings by section, nested as `gateway.settings.from_mapping` takes them."""
FILE = "sparekey.toml"


def kept_in(folder: Path) -> dict[str, Any]:
    """Return the sections that say where a gateway keeps things: all in one folder, under a new key."""
    return {
        "database": {"url": f"sqlite:///{folder / 'sparekey.db'}"},
        "redis": {"directory": str(folder / "valkey")},
        "vault": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
        "policies": {"file": str(folder / "policies.toml")},
    }


def checked_only(folder: Path, **sections: Any) -> dict[str, Any]:
    """Return the least settings that can be loaded, of a gateway that never starts, and these besides."""
    return {
        "gateway": {"public": "https://sso.example.org", "tls": {"certificate": "a", "key": "b"}},
        "idp": {
            "address": "http://127.0.0.1:1",
            "issuer": "https://sso.example.org",
            "client_secret": "secret",
        },
        **kept_in(folder),
        **sections,
    }


def before_demo(around: RunningDemo, public: str) -> dict[str, Any]:
    """Return the section about the demo's identity provider, for a gateway in front of it."""
    return {
        "address": around.provider,
        "issuer": public,
        "client_id": GATEWAY_CLIENT,
        "client_secret": around.client_secret,
        "session_cookies": [SESSION_COOKIE],
    }


def unused_directory(ca: Path, port: int) -> dict[str, Any]:
    """Return a directory that is named because one must be, and never asked."""
    return {
        "name": "corp",
        "servers": [f"ldaps://127.0.0.1:{port}"],
        "ca": str(ca),
        "bind_dn": "cn=sparekey",
        "bind_password": "not asked here",
        "base": "dc=example",
    }


def write_settings(folder: Path, policy: str, **sections: Any) -> Path:
    """Write a gateway's settings and its policy; what it keeps lies beside them."""
    (folder / "policies.toml").write_text(policy)
    return write_toml(folder / FILE, {**kept_in(folder), **sections})


def write_toml(file: Path, document: Sections) -> Path:
    """Write a document that nobody else may read."""
    file.touch(mode=0o600)
    file.write_text("\n".join(_lines(document, "")) + "\n")
    return file


def _lines(document: Sections, below: str) -> Iterator[str]:
    tables = {name: value for name, value in document.items() if _is_table(value)}
    for name, value in document.items():
        if name not in tables and value is not None:
            # What JSON writes of these values is TOML too.
            yield f"{name} = {json.dumps(value)}"
    for name, value in tables.items():
        path = f"{below}{name}"
        for each in value if isinstance(value, list) else [value]:
            yield f"[[{path}]]" if isinstance(value, list) else f"[{path}]"
            yield from _lines(each, f"{path}.")


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
    )
