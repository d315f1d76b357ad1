"""Which journey the asked page belongs to."""

from typing import get_args

from flask import request

from enforcement.policy import Purpose

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def purpose_of_page() -> Purpose:
    """Return the purpose after which the page's blueprint is named: `unlock`, `unlock_account`.

    Pages of no journey belong to the reset: it is where people begin.
    """
    name = (request.blueprint or "").partition("_")[0]
    return next((purpose for purpose in PURPOSES if purpose == name), "reset")
