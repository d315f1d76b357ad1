from pathlib import Path

from flows.messaging.folder import Folder, newest_first
from flows.messaging.message import Message, MessageKind
from tests.flows.world import START, Clock


def message(subject: str) -> Message:
    return Message(
        to="jane@home.example",
        channel="email",
        subject=subject,
        text="Hello",
        kind=MessageKind.NOTICE,
        reference="",
    )


def test_messages_are_kept_newest_first_and_in_the_promised_shape(tmp_path: Path) -> None:
    clock = Clock()
    folder = Folder(tmp_path / "outbox", clock)
    folder.send(message("first"))
    clock.forward(seconds=1)
    folder.send(message("second"))
    kept = newest_first(tmp_path / "outbox")
    assert [each["subject"] for each in kept] == ["second", "first"]
    assert kept[1] == {
        "to": "jane@home.example",
        "channel": "email",
        "subject": "first",
        "text": "Hello",
        "sent_at": START.isoformat(),
    }


def test_nobody_else_can_look_into_the_outbox(tmp_path: Path) -> None:
    Folder(tmp_path / "outbox", Clock())
    assert (tmp_path / "outbox").stat().st_mode & 0o077 == 0


def test_an_outbox_that_nobody_made_is_empty(tmp_path: Path) -> None:
    assert newest_first(tmp_path / "none") == []
