"""A provider shaped like Keycloak, small enough to count its connections and to misbehave on request.

It signs in whoever gives a name: `POST` to the page's form. The session is in `KEYCLOAK_IDENTITY`, unsigned.
"""

import base64
import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

REALM = "/realms/corp"
AUTHORIZATION = f"{REALM}/protocol/openid-connect/auth"
STYLES = "/resources/abc12/login/styles.css"
ODD = "/realms/corp/odd/"
"""Below it stand the answers that tests planted."""

PAGE = """\
<!DOCTYPE html>
<html class="login-pf" lang="en" dir="ltr"><head><meta charset="utf-8"><title>Sign in to corp</title></head>
<body data-page-id="login-login"><div id="kc-form"><div id="kc-form-wrapper">
<form id="kc-form-login" action="{action}" method="post">
<input id="username" name="username"><input id="password" name="password" type="password"></form>
</div></div></body></html>
"""


@dataclass
class FakeKeycloak:
    """A running provider."""

    public: str
    port: int = 0
    connections: int = 0
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, target and header fields, names in lower case."""
    sessions: dict[str, str] = field(default_factory=dict)
    """Subject by session id."""
    begun: dict[str, dict[str, str]] = field(default_factory=dict)
    """Authorization requests by tab."""
    planted: dict[str, tuple[int, list[tuple[str, str]], bytes]] = field(default_factory=dict)
    """Status, fields and body by path below `ODD`, or by whole path."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.public}{REALM}"

    def asked(self, start: str) -> int:
        """Return how many requests began with a path."""
        return sum(1 for _, target, _ in self.requests if target.startswith(start))


@contextlib.contextmanager
def fake_keycloak(public: str) -> Iterator[FakeKeycloak]:
    """Run one that people reach at `public`."""
    keycloak = FakeKeycloak(public)

    class Handler(_Handler):
        fake = keycloak

    server = _Server(("127.0.0.1", 0), Handler)
    keycloak.port = server.server_address[1]
    server.fake = keycloak
    thread = threading.Thread(target=server.serve_forever, name="fake keycloak")
    thread.start()
    try:
        yield keycloak
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeKeycloak

    def process_request(self, request: Any, client_address: Any) -> None:
        self.fake.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    fake: FakeKeycloak

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        sent = {name.lower(): value for name, value in self.headers.items()}
        self.fake.requests.append((self.command, self.path, sent))
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        path, _, query = self.path.partition("?")
        asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        planted = self.fake.planted.get(path) or self.fake.planted.get(path.removeprefix(ODD))
        if planted:
            self._send(*planted)
        elif path == AUTHORIZATION:
            self._authorize(asked)
        elif path == f"{REALM}/login-actions/authenticate":
            self._sign_in(asked, parse_qs(body))
        elif path == f"{REALM}/.well-known/openid-configuration":
            self._send(200, [("Content-Type", "application/json")], json.dumps(self._discovery()).encode())
        elif path == f"{REALM}/protocol/openid-connect/token":
            self._send(400, [("Content-Type", "application/json")], b'{"error":"invalid_grant"}')
        elif path == STYLES:
            self._send(200, [("Content-Type", "text/css"), ("ETag", '"1"')], b"body{}" * 500)
        else:
            self._send(200, [("Content-Type", "application/json")], b"{}")

    def _discovery(self) -> dict[str, str]:
        issuer = self.fake.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{self.fake.public}{AUTHORIZATION}",
            "token_endpoint": f"{issuer}/protocol/openid-connect/token",
            "jwks_uri": f"{issuer}/protocol/openid-connect/certs",
        }

    def _authorize(self, asked: dict[str, str]) -> None:
        session = self._session()
        if session and "login" not in asked.get("prompt", ""):
            self._hand_over(asked, session)
        elif asked.get("prompt") == "none":
            query = urlencode({"error": "login_required", "state": asked.get("state", "")})
            self._send(302, [("Location", f"{asked['redirect_uri']}?{query}")], b"")
        else:
            tab = secrets.token_urlsafe(8)
            self.fake.begun[tab] = asked
            steps = urlencode({"session_code": "once", "client_id": asked["client_id"], "tab_id": tab})
            action = f"{self.fake.issuer}/login-actions/authenticate?{steps}".replace("&", "&amp;")
            fields = [
                ("Content-Type", "text/html;charset=utf-8"),
                ("Set-Cookie", f"AUTH_SESSION_ID={tab};Path={REALM}/;HttpOnly"),
                ("Set-Cookie", "sparekey-session=theirs;Path=/"),
                ("Service-Worker-Allowed", "/"),
                ("X-Accel-Redirect", "/sparekey/"),
            ]
            self._send(200, fields, PAGE.format(action=action).encode())

    def _sign_in(self, step: dict[str, str], typed: dict[str, list[str]]) -> None:
        session = secrets.token_hex(8)
        self.fake.sessions[session] = typed["username"][0]
        self._hand_over(self.fake.begun[step["tab_id"]], session)

    def _hand_over(self, asked: dict[str, str], session: str) -> None:
        said = {
            "state": asked.get("state", ""),
            "session_state": session,
            "iss": self.fake.issuer,
            "code": secrets.token_urlsafe(12),
        }
        fields = [
            ("Location", f"{asked['redirect_uri']}?{urlencode(said)}"),
            ("Set-Cookie", f"KEYCLOAK_IDENTITY={self._identity(session)};Path={REALM}/;HttpOnly"),
        ]
        self._send(302, fields, b"")

    def _identity(self, session: str) -> str:
        subject = self.fake.sessions[session]
        said = {"typ": "Serialized-ID", "iss": self.fake.issuer, "sub": subject, "sid": session}
        parts = ({"alg": "HS512"}, said, {"iat": secrets.token_hex(4)})
        encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
        return b".".join(encoded).decode()

    def _session(self) -> str:
        cookie = SimpleCookie(self.headers.get("cookie", "")).get("KEYCLOAK_IDENTITY")
        if cookie is None:
            return ""
        part = cookie.value.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return said["sid"] if said["sid"] in self.fake.sessions else ""

    def _send(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        if not any(name in {"Content-Length", "Transfer-Encoding"} for name, _ in fields):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if len(body) < int(dict(fields).get("Content-Length", 0)):
            self.close_connection = True
