"""An upstream shaped like Keycloak: nginx with one sign-in page, style sheets and a token answer.

It also answers what the gateway asks when it starts: discovery, and the silent check of nobody.
"""

import contextlib
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.harness import LOAD_CORE, Service, service
from tests.servers.processes import answers, free_port

REALM = "/realms/acme"
AUTHORIZATION = f"{REALM}/protocol/openid-connect/auth"
TOKEN = f"{REALM}/protocol/openid-connect/token"
STYLES = "/resources/abc12/login/keycloak.v2/css/styles.css"
MORE_STYLES = "/resources/abc12/common/keycloak/vendor/patternfly.css"
MARK = b"kc-form-login"
CALLBACK = "https://application.example.org/callback"
SESSION = "2c1f5f0e-8d6b-4a50-9d0c-3f4b1f0e8a77"
SIGNED_IN = f"{CALLBACK}?state=pQ7YtL2m9cXzR4vB&session_state={SESSION}&code=0f0b1d77.{SESSION}.8bd12f0d"
"""Where a browser with a session is sent at once."""
PAGE_BYTES = 6 * 1024
STYLE_BYTES = 40 * 1024


def native_mix() -> list[str]:
    """Return what a browser asks for at a sign-in, as far as a native data plane may answer it alone."""
    return [authorization_path(), STYLES, f"{REALM}/.well-known/openid-configuration", MORE_STYLES]


def authorization_path() -> str:
    """Return the address of a sign-in as an application asks for it, PKCE and all."""
    query = {
        "client_id": "application",
        "response_type": "code",
        "scope": "openid profile email",
        "redirect_uri": CALLBACK,
        "state": "pQ7YtL2m9cXzR4vB",
        "nonce": "k3J8sW1nE6dF0aHu",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return f"{AUTHORIZATION}?{urlencode(query)}"


def mix() -> list[str]:
    """Return what one sign-in asks for: a page, two style sheets, one JSON answer."""
    return [authorization_path(), STYLES, TOKEN, MORE_STYLES]


HEAD = """\
<!DOCTYPE html>
<html class="login-pf" lang="en" dir="ltr">
<head>
<meta charset="utf-8"><meta name="robots" content="noindex, nofollow">
<meta name="viewport" content="width=device-width,initial-scale=1"/>
<title>Sign in to acme</title>
<link href="{more_styles}" rel="stylesheet" />
<link href="{styles}" rel="stylesheet" />
</head>
<body id="keycloak-bg" data-page-id="login-login">
<main><h1 id="kc-page-title">Sign in to your account</h1>
<div id="kc-form"><div id="kc-form-wrapper">
<form id="kc-form-login" action="{realm}/login-actions/authenticate?session_code=Qm1VbGRzZXNzaW9u&amp;\
execution=0f0b1d77-6c1b-4b0f-8bd1-2f0d3a1d8a11&amp;client_id=application&amp;tab_id=SPAqd7m1gQc&amp;\
client_data=eyJydSI6Imh0dHA6Ly8xMjcuMC4wLjEv" method="post">
"""
TAIL = """\
<input id="username" name="username" type="text" autocomplete="username"/>
<input id="password" name="password" type="password" autocomplete="current-password"/>
<button name="login" id="kc-login" type="submit">Sign In</button>
</form>
</div></div></main></body></html>
"""

CONFIGURATION = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  sendfile on;
  tcp_nodelay on;
  etag off;
  open_file_cache max=100 inactive=1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/css css; application/json json; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    root {folder}/www;
    location = {authorization} {{
      if ($arg_prompt = none) {{ return 302 "{callback}?error=login_required&state=$arg_state"; }}
      if ($cookie_KEYCLOAK_IDENTITY) {{ return 302 "{signed_in}"; }}
      rewrite ^ /page.html last;
    }}
    location = /page.html {{
      internal;
      set $cookie_ends "Version=1;Path={realm}/;Secure;HttpOnly;SameSite=None";
      default_type "text/html;charset=utf-8";
      add_header Cache-Control "no-store, must-revalidate, max-age=0";
      add_header Content-Security-Policy "frame-src 'self'; frame-ancestors 'self'; object-src 'none';";
      add_header Referrer-Policy no-referrer;
      add_header Strict-Transport-Security "max-age=31536000; includeSubDomains";
      add_header X-Content-Type-Options nosniff;
      add_header X-Frame-Options SAMEORIGIN;
      add_header X-Robots-Tag none;
      add_header Set-Cookie "AUTH_SESSION_ID=cDhwWnFQbzNt; $cookie_ends";
      add_header Set-Cookie "KC_AUTH_SESSION_HASH=MBpZ7WFv; $cookie_ends";
      add_header Set-Cookie "KC_RESTART=eyJhbGciOiJkaXIi; $cookie_ends";
    }}
    location = {token} {{
      default_type application/json;
      if ($request_method = POST) {{ return 400 '{{"error":"invalid_grant"}}'; }}
      rewrite ^ /token.json last;
    }}
    location = /token.json {{ internal; }}
    location = {realm}/.well-known/openid-configuration {{
      default_type application/json;
      return 200 '{discovery}';
    }}
    location /resources/ {{ rewrite ^ /styles.css last; }}
    location = /styles.css {{ internal; add_header Cache-Control "max-age=2592000"; }}
  }}
}}
"""


def discovery(public: str) -> str:
    """Return the discovery document of a provider that people reach at `public`."""
    return json.dumps(
        {
            "issuer": f"{public}{REALM}",
            "authorization_endpoint": f"{public}{AUTHORIZATION}",
            "token_endpoint": f"{public}{TOKEN}",
            "jwks_uri": f"{public}{REALM}/protocol/openid-connect/certs",
        }
    )


def page() -> bytes:
    """Return the sign-in page; the same in every run."""
    text = HEAD.format(styles=STYLES, more_styles=MORE_STYLES, realm=REALM)
    words, number = ["account", "locale", "theme", "field", "label", "input", "group"], random.Random(7)
    while len(text) + len(TAIL) < PAGE_BYTES:
        word, other = number.choices(words, k=2)
        text += f'<div class="pf-v5-c-form__group {word}"><label for="{other}">{word} {other}</label></div>\n'
    return (text + TAIL).encode()


def _style() -> bytes:
    number, text = random.Random(11), ""
    while len(text) < STYLE_BYTES:
        text += f".pf-v5-c-{number.randrange(9999)}{{margin:{number.randrange(40)}px;padding:1rem}}\n"
    return text[:STYLE_BYTES].encode()


@contextlib.contextmanager
def upstream(folder: Path, public: str) -> Iterator[Service]:
    """Serve the pages for a gateway that people reach at `public`."""
    (folder / "www").mkdir(parents=True)
    (folder / "www/page.html").write_bytes(page())
    (folder / "www/styles.css").write_bytes(_style())
    (folder / "www/token.json").write_text(json.dumps({"access_token": "x" * 200, "expires_in": 300}))
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=folder,
            port=port,
            authorization=AUTHORIZATION,
            token=TOKEN,
            realm=REALM,
            callback=f"{public}/sparekey/oidc/callback",
            signed_in=SIGNED_IN,
            discovery=discovery(public),
        )
    )
    command = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", configuration]
    with service(
        "direct", command, port=port, core=LOAD_CORE, log=folder / "log", ready=lambda: answers(port)
    ) as running:
        yield running
