"""A native data plane in front of the gateway: printed, not run by us.

``sparekey data-plane nginx`` prints a configuration in which nginx answers what needs no decision (public
documents, sign-in pages with the link put in, sign-ins of a session that was decided minutes ago) and hands
everything else, whole, to the embedded plane behind it (decision record 0040). Read ``claim`` (what a native
plane believes, 0041), ``exchange`` (what the two tell each other) and ``nginx`` (what is printed). The Lua
sources lie in ``nginx/``: ``request`` chooses the way, ``response`` checks every answer.
"""
