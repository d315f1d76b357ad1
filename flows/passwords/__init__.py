"""New passwords: what may be one, as findings, and one made up by chance.

Read in this order: ``finding`` (what a rule says), ``rules`` (all of them together, while typing and on
submission), then one module for each: ``names``, ``banned`` (a list with a score), ``estimate``; ``breaches``
with ``breach_range`` (asked over the network), ``breach_files`` (asked on disk) and ``breach_build``;
``suggestion``; ``settings``.

May import of idp_plugin only ``base``, ``errors`` and ``password_rules``.
"""
