"""Puts every page into the application."""

from flask import Flask
from flask_wtf.csrf import CSRFProtect

from gateway.browser import register_browser
from gateway.errors import register_errors
from gateway.i18n import register_languages
from gateway.interception.hold import HoldGone
from gateway.known_device import register_known_devices
from gateway.origin import register_origin_check
from gateway.pages import (
    change_password,
    contact,
    forgotten_name,
    forward_auth,
    hold,
    home,
    identity,
    invitation,
    moving,
    outbox,
    receipts,
    registration,
    registration_adding,
    registration_handed_out,
    registration_identity,
    registration_passkey,
    registration_phone,
    registration_proof,
    registration_questions,
    registration_recovery_codes,
    reset,
    reset_identity,
    reset_number,
    reset_password,
    reset_proof,
    reset_start,
    signing_in,
    unlock,
    well_known,
)
from gateway.pages.words import register_words
from gateway.purpose import PURPOSES
from gateway.security_headers import register_security_headers
from gateway.services import EXTENSION, Services

# Modules that add their routes to another one's blueprint; named here so that they are imported.
_PARTS = (
    reset_identity,
    reset_start,
    reset_proof,
    reset_number,
    registration_adding,
    registration_handed_out,
    registration_identity,
    registration_passkey,
    registration_phone,
    registration_proof,
    registration_questions,
    registration_recovery_codes,
)


def register_pages(app: Flask) -> None:
    """Add every page, and what they share: errors, languages, forms' tokens, headers.

    `app.extensions["sparekey"]` must hold the services already.
    """
    services: Services = app.extensions[EXTENSION]
    settings = services.settings
    app.config.update(
        SECRET_KEY=services.vault.signing_key("forms"),
        MAX_CONTENT_LENGTH=settings.gateway.limits.local_body_bytes,
        MAX_FORM_PARTS=50,
        # A token belongs to a browser's secret and lives as long as it does.
        WTF_CSRF_TIME_LIMIT=None,
        # Compared with the public origin by `gateway.origin` instead, on plain HTTP too.
        WTF_CSRF_SSL_STRICT=False,
    )
    _serve_static_files(app, settings.gateway.prefix)
    register_security_headers(app)
    register_languages(app)
    register_browser(app)
    register_origin_check(app)
    register_errors(app)
    register_words(app)
    register_known_devices(app)
    app.register_error_handler(HoldGone, hold.hold_gone)
    forms = CSRFProtect(app)
    forms.exempt(signing_in.backchannel_logout)
    forms.exempt(receipts.pages)
    prefix = settings.gateway.prefix
    # The same pages twice: what differs is read from the name.
    for purpose in PURPOSES:
        path = "change/expired" if purpose == "change" else purpose
        app.register_blueprint(reset.pages, name=purpose, url_prefix=f"{prefix}/{path}")
    app.register_blueprint(reset_password.pages, url_prefix=f"{prefix}/reset")
    app.register_blueprint(unlock.pages, url_prefix=f"{prefix}/unlock")
    app.register_blueprint(change_password.pages, url_prefix=f"{prefix}/change")
    app.register_blueprint(forgotten_name.pages, url_prefix=f"{prefix}/forgotten-name")
    app.register_blueprint(contact.pages, url_prefix=f"{prefix}/contact")
    for part in (registration, hold, forward_auth, home, signing_in, identity, moving, invitation, receipts):
        app.register_blueprint(part.pages, url_prefix=settings.gateway.prefix)
    if settings.demo.outbox is not None:
        app.register_blueprint(outbox.pages, url_prefix=settings.gateway.prefix)
    app.register_blueprint(well_known.pages)


def _serve_static_files(app: Flask, prefix: str) -> None:
    """Serve `static/`; addresses carry a digest of the file, so browsers may keep it for a year."""
    app.static_folder = "static"
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 365 * 24 * 3600
    app.add_url_rule(f"{prefix}/static/<path:filename>", endpoint="static", view_func=app.send_static_file)
