"""Keycloak's own memory of a sign-in, handed back to the browser so that a spent request goes on.

Keycloak writes every request, pushed ones too, into a cookie that it alone can read, and deletes that cookie
with the answer. Whoever brings it begins the same sign-in again: same redirect address, state, nonce and
challenge. Nothing is written to anybody's account, and no code waits.

Source: Keycloak 26.4, `RestartLoginCookie`, `SessionCodeChecks.restartAuthenticationSessionFromCookie`.
"""

import re
from urllib.parse import parse_qsl, urlencode

from idp_plugin.base import Exchange, Resumption
from idp_plugin.cookie_fields import cookies_sent

COOKIE = b"KC_RESTART"
STEP = "login-actions/"
NAMES = ("client_id", "tab_id", "client_data")
"""What names a sign-in among a browser's, in the address of each of its steps."""
_VALUE = re.compile(rb"[A-Za-z0-9._~-]{1,3500}")


def resumption(exchange: Exchange, realm_path: str, *, is_https: bool) -> Resumption | None:
    """Return what takes up the sign-in that a step belonged to; None where the browser brought no cookie.

    Args:
        realm_path: Of the realm, with a slash at its end.
        is_https: Whether people reach the provider over TLS.
    """
    path, _, query = exchange.target.decode("latin-1").partition("?")
    brought = set(cookies_sent(exchange, COOKIE))
    named = dict(parse_qsl(query, keep_blank_values=True))
    if not path.startswith(realm_path + STEP) or len(brought) != 1 or not named.get("client_id"):
        return None
    value = brought.pop()
    if not _VALUE.fullmatch(value):
        return None
    which = urlencode({name: named[name] for name in NAMES if name in named})
    # Over HTTPS the browser keeps it as Keycloak's own, and Keycloak deletes it as such.
    end = "; Secure; SameSite=None" if is_https else "; SameSite=Lax"
    return Resumption(
        f"{realm_path}{STEP}restart?{which}",
        f"{COOKIE.decode()}={value.decode()}; Path={realm_path}; HttpOnly{end}",
    )
