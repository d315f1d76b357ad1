"""Directories that speak LDAP.

Read in this order: `connection` (what may be asked, and what it insists on), `conversation`, `message`,
`filter` and `strict_socket` below it, `servers` and `kept_sessions` (which server is asked, over which
connection), `password_policy_control` and `password_policy` (what the server says of a password), `groups`
(who is privileged), `server_facts` (what a server can do), `directory` (what all dialects share),
`convergence` (where a new password works by now), `openldap` (the first dialect), `plain_rights` (what our
account may do there). 389-ds's are `ds389_policy`, `_policy_reader`, `_roles` and `_rules`, and
`account_usability`, put together in `ds389`; Active Directory's are `active_directory_account`, `_policy`,
`_rules`, `_codes`, `_root`, `_groups` and `_rights`, put together in `active_directory`.

Imports `idp_plugin.base`, `ber`, `errors`, `last_write`, `password_rule`, `password_rules` and `settings`.
"""
