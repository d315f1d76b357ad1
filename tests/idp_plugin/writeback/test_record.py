"""What an agent's record has on the disk, and when."""

import datetime as dt
from pathlib import Path

from idp_plugin.writeback.order import Order, OrderKind, new_id
from idp_plugin.writeback.record import Record

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def test_what_was_begun_or_must_never_be_is_on_the_disk_at_once(tmp_path: Path) -> None:
    record, said = Record(tmp_path / "orders.sqlite"), list[str]()
    record._connection.set_trace_callback(said.append)
    order = Order(
        id=new_id(),
        kind=OrderKind.SET_PASSWORD,
        target="corp",
        subject="somebody",
        agents=("one",),
        issued_at=NOW,
        reply_to="",
    )
    record.take(order, NOW)
    record.begin(order.id)
    record.finish(order.id, b"answer", "done", ())
    record.void(new_id(), "somebody", NOW)
    record.compare("somebody", NOW)
    record.close()
    mode, written = "", []
    for statement in said:
        if statement.startswith("PRAGMA synchronous="):
            mode = statement.partition("=")[2]
        if statement.startswith(("INSERT", "UPDATE")):
            written.append(mode)
    # Seen, begun, answered, never to be begun, compared.
    assert written == ["NORMAL", "FULL", "NORMAL", "FULL", "FULL"]
