"""The ordinary way: a Flask view that asks with urllib3. Runs in an environment of its own."""

import os

import urllib3
from flask import Flask, Response, request

UPSTREAM = os.environ["UPSTREAM"]
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade", "content-length"}
LINK = b'<p id="sparekey-link"><a href="/sparekey/reset">Can\'t access your account?</a></p>'

app = Flask(__name__)
pool = urllib3.PoolManager(maxsize=64)


@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def forward(path: str) -> Response:
    """Carry one request, and put the link behind the first form."""
    headers = {name: value for name, value in request.headers if name.lower() not in HOP_BY_HOP}
    headers |= {"Accept-Encoding": "identity", "X-Forwarded-For": request.remote_addr or ""}
    answer = pool.request(
        request.method,
        f"{UPSTREAM}/{path}?{request.query_string.decode()}",
        body=request.get_data() or None,
        headers=headers,
        redirect=False,
        retries=False,
    )
    body = answer.data
    if answer.headers.get("content-type", "").startswith("text/html"):
        body = body.replace(b"</form>", b"</form>" + LINK, 1)
    kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
    return Response(body, answer.status, kept)
