"""The demo's outbox: a folder with one JSON file for each message."""

import datetime as dt
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from flows.errors import MessageNotSent
from flows.messaging.message import Message


class SentMessage(TypedDict):
    """One message as the outbox page and `outbox.json` show it."""

    to: str
    channel: str
    subject: str
    text: str
    sent_at: str
    """ISO 8601 with offset."""


class Folder:
    """Keeps messages instead of sending them; the folder is for its owner only, since codes lie in it."""

    def __init__(self, directory: Path, clock: Callable[[], dt.datetime]) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._clock = clock

    def send(self, message: Message) -> None:
        """Write one file whose name sorts by time.

        Raises:
            MessageNotSent: The folder cannot be written.
        """
        now = self._clock()
        sent = SentMessage(
            to=message.to,
            channel=message.channel,
            subject=message.subject,
            text=message.text,
            sent_at=now.isoformat(),
        )
        name = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        unfinished = self._directory / f"{name}.part"
        try:
            unfinished.write_text(json.dumps(sent, ensure_ascii=False), encoding="utf-8")
            unfinished.rename(self._directory / f"{name}.json")
        except OSError as error:
            raise MessageNotSent from error


def newest_first(directory: Path) -> list[SentMessage]:
    """Return everything in an outbox, the newest message first."""
    files = sorted(directory.glob("*.json"), reverse=True)
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]
