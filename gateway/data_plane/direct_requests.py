"""Requests that a native plane sends to the provider at once: which they are, and what of them goes along."""

DOCUMENT_FIELDS = ("Accept", "Accept-Language", "Origin", "User-Agent")
"""Of a public document nobody needs to know more, but its encoding and what the browser has of it."""

BROWSER_FIELDS = (
    *DOCUMENT_FIELDS,
    *("Cache-Control", "Referer", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User"),
    *("Traceparent", "Upgrade-Insecure-Requests"),
)
"""What a browser says when somebody follows a link. A list of what goes, not of what stays (S13)."""

PARAMETERS = (
    *("client_id", "code_challenge", "code_challenge_method", "login_hint", "nonce", "redirect_uri"),
    *("response_type", "scope", "state", "ui_locales"),
)

EARLIER, LATER = "(?:[^&]*+&)*?", "(?:&[^&]*+)*?"
PLAIN_REQUEST = (
    rf"^GET  (?={EARLIER}client_id=(?<sparekey_client_id>[A-Za-z0-9._~-]+)(?:&|\z))"
    rf"(?={EARLIER}response_type=code(?:&|\z))(?={EARLIER}redirect_uri=[^&])"
    rf"(?:({'|'.join(PARAMETERS)})=[^&]*+(?!{LATER}&\2=)(?:&(?=.)|\z))+\z"
)
"""Method, `Authorization` and query of a plain request for a code: each parameter once, and no other."""


def variable(field: str) -> str:
    """Return what nginx calls a field that a client sent."""
    return f"$http_{field.lower().replace('-', '_')}"
