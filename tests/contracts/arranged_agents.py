"""The directories under test behind an agent: asked through a gateway's end, a real Valkey and the agent."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from idp_plugin.base import Identity, PasswordState, Subject, TargetResult, WriterCapabilities
from idp_plugin.writeback.remote import RemoteDirectory
from tests.contracts.arranged_directories import Arranged, Arrangement
from tests.idp_plugin.writeback.arranged import over_streams
from tests.servers.valkey import Valkey

SECONDS = 30


class Remote:
    """What the gateway asks; passwords are tried at the directory itself, which no agent does for anybody."""

    def __init__(self, remote: RemoteDirectory, directory: Arranged) -> None:
        self._remote = remote
        self._directory = directory

    def find(self, identifier: str) -> Identity | None:
        return self._remote.find(identifier)

    def get(self, subject: Subject) -> Identity | None:
        return self._remote.get(subject)

    def everyone(self, groups: Iterable[str] = ()) -> Iterable[Identity]:
        return self._remote.everyone(groups)

    def capabilities(self, account: Subject) -> WriterCapabilities:
        return self._remote.capabilities(account)

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        return self._remote.set_password(account, new)

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        return self._remote.change_password(account, old, new)

    def unlock(self, account: Subject) -> bool:
        return self._remote.unlock(account)

    def require_change(self, account: Subject) -> None:
        self._remote.require_change(account)

    def verify_password(self, account: Subject, password: str, /) -> PasswordState:
        return self._directory.verify_password(account, password)


class ByAgent:
    """An arrangement whose directory is asked through an agent; everything else is as it was."""

    def __init__(self, inner: Arrangement, directory: Remote) -> None:
        self._inner = inner
        self.directory = directory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@contextlib.contextmanager
def by_agent(folder: Path, valkey: Valkey, inner: Arrangement) -> Iterator[Any]:
    """Put an agent before an arranged directory."""
    with over_streams(folder, valkey.url) as office:
        office.add(inner.directory)  # type: ignore[arg-type]  # every adapter here speaks LDAP
        yield ByAgent(inner, Remote(office.remote(SECONDS), inner.directory))
