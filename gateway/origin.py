"""Requests that were not meant for us, or that another site's page sent."""

from urllib.parse import urlsplit

from flask import Flask, abort, request

from gateway.services import services

SERVER_TO_SERVER = frozenset({"signing_in.backchannel_logout", "receipts.take"})
"""Not sent by browsers, and verified by a signature."""


def register_origin_check(app: Flask) -> None:
    """Check every request before anything else."""
    app.before_request(_check)


def _check() -> None:
    public = services().settings.gateway.public
    if request.host != urlsplit(public).netloc:
        abort(421)
    # The plane refuses such bytes before they come here; under another server Werkzeug would stumble.
    if not request.query_string.isascii():
        abort(400)
    if request.method in {"GET", "HEAD", "OPTIONS"} or request.endpoint in SERVER_TO_SERVER:
        return
    # Security: beside the token in the form: browsers state a POST's origin, and no page can forge it.
    if request.headers.get("Origin", public) != public:
        abort(403)
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        abort(403)
