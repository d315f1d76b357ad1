"""What waits while a browser without script lets the server's clock do the work (S16)."""

import datetime as dt
from collections.abc import Mapping

from flask import render_template, request

from gateway.forms import ButtonForm
from gateway.pages.answers import browser_digest
from gateway.sealed_text import open_text, seal_text
from gateway.services import services

_CONTEXT = "put_off"
_READY_AT = "ready_at"
LONGEST = 4096
"""What is longer is left out: an address has to hold it."""


def put_off(purpose: str, facts: Mapping[str, str], left: dt.timedelta) -> str:
    """Return facts for the address of a waiting page; only this browser can go on with them."""
    bounded = {name: value if len(value) <= LONGEST else "" for name, value in facts.items()}
    kept = {
        **bounded,
        "browser": browser_digest(),
        "purpose": purpose,
        _READY_AT: (services().clock() + left).isoformat(),
    }
    return seal_text(services().vault, kept, _CONTEXT)


def what_was_put_off(purpose: str) -> dict[str, str]:
    """Return the facts in this page's address; none where it was not made for this browser and purpose."""
    kept = open_text(services().vault, request.args.get("kept", ""), _CONTEXT)
    is_ours = kept.get("browser") == browser_digest() and kept.get("purpose") == purpose
    return kept if is_ours else {}


def waiting_page(kept: Mapping[str, str], caption: str = "") -> str:
    """Return the page that waits; its blueprint has the endpoints `start` and `go_on`.

    Args:
        caption: What waits; empty for the journey of the page.
    """
    left = max(dt.timedelta(), dt.datetime.fromisoformat(kept[_READY_AT]) - services().clock())
    form = ButtonForm(formdata=None)
    return render_template(
        "reset/wait.html", form=form, left=left, kept=request.args["kept"], caption=caption
    )
