"""A native data plane in front of the gateway: printed, not run by us.

``sparekey data-plane nginx`` and ``… envoy`` print configurations in which the server in front answers what
needs no decision (public documents, sign-in pages with the link put in, sign-ins of a session that was
decided minutes ago) and hands everything else, whole, to the embedded plane behind it (decision record 0040).
Read ``claim`` (what a native plane believes, 0041), ``exchange`` (what the two tell each other), ``nginx``,
``njs`` and ``envoy`` (what is printed; 0050, 0060). The scripts lie in ``nginx_sources``, ``njs_sources`` and
``envoy_sources``: ``request`` chooses the way, ``response`` checks every answer. Applications that nginx
guards are apart from all that: ``guard`` and ``nginx_sources/guard.lua`` (0058).
"""
