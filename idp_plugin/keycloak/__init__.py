"""Keycloak: who signs in (``recogniser``), who people are (``directory``), ending ``sessions``, and the
passwords that it keeps itself (``password_write``); ``federations`` tells whose those are.

``admin`` is the one place that talks to the admin API. Proved against 26.4.5; see `interception.md`.
Imports of ours: ``idp_plugin`` only.
"""
