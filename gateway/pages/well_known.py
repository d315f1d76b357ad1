"""Where password managers look for the page that changes a password.

Source: W3C, A Well-Known URL for Changing Passwords.
"""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

pages = Blueprint("well_known", __name__)


@pages.get("/.well-known/change-password")
def find() -> ResponseReturnValue:
    """Redirect to the page that sets a new password."""
    return redirect(url_for("change_password.start"), 302)
