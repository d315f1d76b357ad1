"""The HTTPS endpoint of the agents: an application of its own, with threads of its own, without cookies."""

from flask import Flask, request
from flask.typing import ResponseReturnValue

from gateway.agents.calls import CallRefused, Calls
from idp_plugin.writeback import https_channel, joining
from idp_plugin.writeback.channel import ChannelDown
from store.errors import StoreError

LARGEST_BODY = 256 << 10
"""An order with its envelope, sealed to many agents."""


def create_endpoint(prefix: str, calls: Calls) -> Flask:
    """Return the application that answers below `prefix`/agent/."""
    app = Flask("gateway.agents", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY

    @app.post(f"{prefix}{https_channel.PATH}")
    def call() -> ResponseReturnValue:
        return calls.perform(request.get_data())

    @app.post(f"{prefix}{joining.PATH}")
    def join() -> ResponseReturnValue:
        return calls.join(request.get_data())

    app.register_error_handler(CallRefused, _refused)
    app.register_error_handler(ChannelDown, _down)
    app.register_error_handler(StoreError, _down)
    return app


def _refused(refusal: CallRefused) -> ResponseReturnValue:
    return {"why": refusal.why}, 401


def _down(error: Exception) -> ResponseReturnValue:
    del error
    return {"why": "unavailable"}, 503
