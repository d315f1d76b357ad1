"""Health and metrics, on a listener of their own."""

from collections.abc import Callable, Mapping, Sequence

from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Probe = Callable[[], object]


def create_operations(
    prefix: str, probes: Mapping[str, Probe], registries: Sequence[CollectorRegistry]
) -> Flask:
    """Return the application for machines that watch this one.

    Args:
        prefix: As the public pages have it.
        probes: By the name under which readiness tells of them; one that raises is not ready.
    """
    app = Flask(__name__, static_folder=None)

    @app.get(f"{prefix}/health/live")
    def live() -> ResponseReturnValue:
        return {"status": "live"}

    @app.get(f"{prefix}/health/ready")
    def ready() -> ResponseReturnValue:
        answers = {name: _answers(probe) for name, probe in probes.items()}
        ready = all(answers.values())
        return jsonify({"status": "ready" if ready else "not ready", "parts": answers}), 200 if ready else 503

    @app.get(f"{prefix}/metrics")
    def metrics() -> ResponseReturnValue:
        return Response(b"".join(map(generate_latest, registries)), content_type=CONTENT_TYPE_LATEST)

    return app


def _answers(probe: Probe) -> bool:
    # Whatever breaks, it is not ready; the part's own log line tells why.
    try:
        probe()
    except Exception:  # noqa: BLE001
        return False
    return True
