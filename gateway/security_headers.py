"""Headers that every page of ours carries (S22).

Sparekey's pages share their origin with an identity provider's, so they trust nothing that is not
theirs: no inline script or style, no frames, no plug-ins, nothing cached.

`Cross-Origin-Opener-Policy` is left out on purpose: applications that sign people in through a pop-up
window wait there for a word from it, and a page with that header in between cuts the tie for good.
"""

from flask import Flask, Response, g, request

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Spec: Fetch, "append a request Origin header": with `no-referrer` a form's POST would state "null".
    "Referrer-Policy": "strict-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "X-Robots-Tag": "noindex, nofollow",
}


def allow_forms_to(*sources: str) -> None:
    """Let this response's forms be redirected to further places.

    Chromium applies `form-action` to every redirect that follows a POST, so a page whose button releases
    a held sign-in must name the way to the application.
    """
    g.form_action = " ".join(("'self'", *sources))


def leave_verbatim() -> None:
    """Keep this response's headers as they are: it is the identity provider's answer, not a page of ours."""
    g.is_verbatim = True


def register_security_headers(app: Flask) -> None:
    """Put the headers on every response of the application."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    if g.get("is_verbatim"):
        return response
    response.headers.update(HEADERS)
    policy = POLICY | {"form-action": g.get("form_action", POLICY["form-action"])}
    response.headers["Content-Security-Policy"] = "; ".join(" ".join(pair) for pair in policy.items())
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Cookie")
    return response
