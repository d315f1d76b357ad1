"""Directories that speak LDAP.

Read in this order: `connection` (every call of ldap3, and what it insists on), `strict_socket` below it,
`password_policy_control` and `password_policy` (what the server says of a password), `groups` (who is
privileged), `openldap` (the dialect that puts them together).

Imports `idp_plugin.base`, `errors` and `settings`.
"""
