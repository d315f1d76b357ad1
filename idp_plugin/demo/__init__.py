"""An identity provider, a directory and a relying party that start in milliseconds, on loopback only.

Read in this order: `servers` (starts everything), `people` (who lives there), `provider` with
`provider_grants` and `provider_memory` (OpenID Connect), `directory` with `directory_server` (LDAP), and
`relying_party`. Real protocols throughout: the gateway treats them like anybody's.

Imports `idp_plugin.ldap` and what it needs.
"""
