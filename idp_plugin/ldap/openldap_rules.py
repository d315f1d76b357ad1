"""How slapd's password policy counts: bytes, and nothing else.

Source: slapo-ppolicy(5), `pwdMinLength`, `pwdMaxLength`, `pwdCheckQuality`; asked on a live 2.5 server.
"""

import re

from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName

_SCHEME = re.compile(r"\{([^{}]+)\}")
_BUILT_IN = frozenset({"CRYPT", "MD5", "SASL", "SHA", "SMD5", "SSHA", "UNIX"})
_OF_MODULES = frozenset(
    {
        *("APR1", "ARGON2", "BSDMD5", "KERBEROS", "NS-MTA-MD5", "PBKDF2", "PBKDF2-SHA1", "PBKDF2-SHA256"),
        *("PBKDF2-SHA512", "RADIUS", "SHA256", "SHA384", "SHA512", "SSHA256", "SSHA384", "SSHA512"),
        *("TOTP1", "TOTP256", "TOTP512"),
    }
)


def holds(rule: PasswordRule, candidate: str, names: AccountNames) -> bool | None:
    """Tell whether slapd finds that the candidate obeys the rule; None where only slapd can tell."""
    del names
    size = len(candidate.encode("utf-8", "replace"))
    match rule.name:
        case RuleName.LENGTH_MIN:
            return size >= rule.count
        case RuleName.LENGTH_MAX:
            return size <= rule.count
        case RuleName.CHARACTERS:
            return _is_plain(candidate)
        case _:
            return None


def _is_plain(candidate: str) -> bool | None:
    """Tell whether slapd takes it for a password, not for one that is hashed already and cannot be judged."""
    found = _SCHEME.match(candidate)
    scheme = found[1].upper() if found else ""
    if "\0" in candidate or scheme in _BUILT_IN:
        return False
    # Which modules are loaded is not for us to see.
    return None if scheme in _OF_MODULES else True
