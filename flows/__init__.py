"""Journeys that change something: reset, registration, notices. No Flask, no HTTP.

Read in this order: ``attempt`` (facts, derived stage), ``reset``, ``registration``, ``authenticators``
(one module per kind), ``throttle``, ``messaging`` and ``jobs`` (what leaves after the response).

May import enforcement and store; of idp_plugin only ``base`` and ``errors``.
"""
