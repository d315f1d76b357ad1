"""Journeys that change something: reset, registration, notices. No Flask, no HTTP.

Read in this order: ``attempt`` (facts, derived stage), ``reset`` with ``reset_jobs``, ``eligibility`` and
``password_write``; ``registration`` with ``standing``, ``pending``, ``step_up``, ``binding``, ``binder`` and
``freezing``; ``authenticators`` (one module per kind); ``passwords`` (what a new one must be); ``throttle``,
``proof_of_work``; ``messaging``, ``notifications``, ``jobs`` (what leaves after the response).

May import enforcement and store; of idp_plugin only ``base``, ``errors`` and ``password_rules``.
"""
