"""A directory's rules for new passwords: read as data, applied as a pure function.

Adapters read them from the server; whoever shows or checks a candidate applies them without asking it.
What a server decides in ways that cannot be read (history, quality modules) is a rule that cannot be told.
How each server counts is in `ldap.openldap_rules`, `ldap.ds389_rules`, `ldap.active_directory_rules` and
`keycloak.password_rules`; those import the types from `password_rule`.
"""

from collections.abc import Callable, Iterable, Mapping

from idp_plugin.keycloak import password_rules as keycloak_rules
from idp_plugin.ldap import active_directory_rules, ds389_rules, openldap_rules
from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName, Verdict

__all__ = ["AccountNames", "PasswordRule", "RuleName", "Verdict", "check"]

Dialect = Callable[[PasswordRule, str, AccountNames], bool | None]
"""Tells whether a candidate obeys one rule; None where only the server can tell."""

_DIALECTS: Mapping[str, Dialect] = {
    "openldap": openldap_rules.holds,
    "ds389": ds389_rules.holds,
    "active_directory": active_directory_rules.holds,
    "keycloak": keycloak_rules.holds,
}


def check(rules: Iterable[PasswordRule], candidate: str, names: AccountNames) -> tuple[Verdict, ...]:
    """Return what each rule says of a candidate, in the order of the rules.

    Pure: nothing is asked, nothing is kept. A rule of a dialect that is not known cannot be told.

    Args:
        rules: `WriterCapabilities.rules`.
        candidate: As typed, untrimmed.
        names: Of the account that it is for.
    """
    return tuple(Verdict(rule, _holds(rule, candidate, names)) for rule in rules)


def _holds(rule: PasswordRule, candidate: str, names: AccountNames) -> bool | None:
    dialect = _DIALECTS.get(rule.dialect)
    return dialect(rule, candidate, names) if dialect else None
