"""The demo's outbox: messages that a mail server would have sent, newest first."""

import json
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, jsonify, render_template
from flask.typing import ResponseReturnValue

from gateway.services import services

pages = Blueprint("outbox", __name__)
SHOWN = ("to", "channel", "subject", "text", "sent_at")
MOST = 200


@pages.get("/demo/outbox")
def show() -> ResponseReturnValue:
    """Show the messages."""
    return render_template("outbox.html", messages=_messages())


@pages.get("/demo/outbox.json")
def as_json() -> ResponseReturnValue:
    """Return the messages as a list of objects."""
    return jsonify(_messages())


def _messages() -> list[dict[str, Any]]:
    folder = services().settings.demo.outbox
    if folder is None:
        abort(404)
    files = sorted(Path(folder).glob("*.json"), key=lambda file: file.name, reverse=True)[:MOST]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    found.sort(key=lambda message: str(message.get("sent_at", "")), reverse=True)
    return [{name: message.get(name, "") for name in SHOWN} for message in found]
