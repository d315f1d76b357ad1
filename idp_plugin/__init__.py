"""How to talk to identity providers and directories.

Read in this order: ``base`` (what the others speak), ``errors``, then one adapter: ``oidc`` and
``keycloak`` recognise sign-ins, ``ldap`` finds people and writes passwords, ``demo`` is an identity
provider, a directory and a relying party that start in milliseconds.

Imports nothing else of ours, so that the writeback agent ships alone.
"""
