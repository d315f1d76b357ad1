"""Forward auth: applications behind a proxy that asks us about every request.

Read in this order: ``settings``; ``application`` (who is guarded), ``asked`` (what a proxy says that a
browser asked for), ``ask_head`` (the rim's reading of it); ``hand_over`` (from the gateway's origin to the
application's, once), ``application_session`` (what the cookie there stands for), ``identity_fields`` (what
the application is told), ``known_sessions`` (what is remembered, and for how long), ``door`` (who may pass),
``turn`` and ``listener`` (the plane's side), ``assembly``. Where people sign in:
``gateway/pages/forward_auth.py``.
"""
