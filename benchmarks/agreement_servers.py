"""The real directories, each under one policy after the other, with the candidates that try it."""

import contextlib
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks import agreement_corpus as corpus
from benchmarks.agreement_corpus import Generator
from idp_plugin.base import Directory, PasswordWriter
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.ds389 import Ds389 as Ds389Directory
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.password_rules import RuleName
from tests.contracts.arranged_keycloak import Local, make_ready
from tests.servers import ds389 as ds
from tests.servers import ds389_build, samba, slapd
from tests.servers import keycloak as kc

ISSUER = "https://sso.example.org"
SIZE = 14
"""Characters of a candidate where its length is not what is tried."""
NAMES = {
    "cn": "Zoë Łukasz-O'Neil",
    "sn": "Łukasz-O'Neil",
    "givenName": "Zoë",
    "displayName": "Zoë Łukasz-O'Neil",
    "mail": "zoe.lo@example.net",
}
USERNAME = "alice"
TOGETHER = "together"
"""Every rule at once."""


class Adapter(Directory, PasswordWriter, Protocol):
    """What finds a person and writes the password."""


@dataclass(frozen=True, slots=True)
class World:
    """One policy, and what to try under it."""

    rule: str
    arrange: Callable[[], None]
    generators: Sequence[Generator]
    is_again: bool = False
    """Whether each candidate is asked a second time, while the history still holds it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One server, ready to be asked."""

    name: str
    version: str
    adapter: Callable[[], Adapter]
    """Returns a fresh one, which has read no policy yet."""
    worlds: Sequence[World]


@contextlib.contextmanager
def openldap(folder: Path) -> Iterator[Asked]:
    """OpenLDAP with its password policy."""
    with slapd.Slapd(folder) as server:
        server.change(slapd.dn_of(USERNAME), **NAMES)

        def policy(**changes: str) -> Callable[[], None]:
            values: dict[str, Sequence[str]] = {
                "pwdMinLength": [],
                "pwdMaxLength": [],
                "pwdCheckQuality": ["2"],
                "pwdInHistory": [],
            }
            values |= {name: [value] for name, value in changes.items()}
            return lambda: server.change(slapd.POLICY_DN, **values)

        bounded = policy(pwdMinLength="8", pwdMaxLength="24")
        yield Asked(
            "OpenLDAP",
            server.version(),
            lambda: OpenLdap(server.settings(), ISSUER),
            (
                World(RuleName.LENGTH_MIN, policy(pwdMinLength="8"), corpus.lengths(8)),
                World(RuleName.LENGTH_MIN, policy(pwdMinLength="15"), corpus.lengths(15)),
                World(RuleName.LENGTH_MAX, policy(pwdMaxLength="12"), corpus.lengths(12)),
                World(RuleName.CHARACTERS, policy(), corpus.schemes(SIZE)),
                World(RuleName.CHARACTERS, policy(pwdCheckQuality="1"), corpus.schemes(SIZE)),
                World("nothing", policy(pwdMinLength="8", pwdCheckQuality="0"), corpus.lengths(4)),
                World(TOGETHER, bounded, (*corpus.ordinary(), *corpus.classes(20), *corpus.lengths(8))),
                World(RuleName.NOT_IN_HISTORY, policy(pwdInHistory="6"), corpus.classes(SIZE), is_again=True),
            ),
        )


@contextlib.contextmanager
def ds389(folder: Path) -> Iterator[Asked]:
    """389-ds, with a global policy and a local one."""
    server = ds.Ds389(ds389_build.archive(), folder)
    folder.mkdir(parents=True)
    try:
        server.start()
        server.begin_again()
        yield asked_of(server)
    finally:
        server.stop()


def asked_of(server: ds.Ds389) -> Asked:
    """Return a running 389-ds, ready to be asked."""
    server.change(ds.dn_of(USERNAME), **NAMES)
    return Asked(
        "389-ds",
        server.version(),
        lambda: Ds389Directory(server.settings(), ISSUER),
        _ds389_worlds(server),
    )


_FREE: Mapping[str, str] = {
    **dict.fromkeys(ds.OTHER_POLICY, "0"),
    **dict.fromkeys(ds.SWITCHES, "off"),
    "passwordMinLength": "2",
    "passwordMinCategories": "1",
    "passwordMinTokenLength": "64",
    "passwordHistory": "off",
    "passwordBadWords": "",
    "passwordLockout": "off",
}
_STRICT = {
    "passwordMinLength": "10",
    "passwordMinCategories": "3",
    "passwordMinTokenLength": "4",
    "passwordMinDigits": "1",
    "passwordMaxRepeats": "3",
    "passwordMaxSequence": "4",
    "passwordPalindrome": "on",
    "passwordBadWords": "football,tiger",
}


def _ds389_worlds(server: ds.Ds389) -> tuple[World, ...]:
    def policy(**changes: str) -> Callable[[], None]:
        return lambda: server.configure(**{**_FREE, **changes})

    def local() -> None:
        server.configure(**{**_FREE, "passwordMinLength": "4"})
        server.add_local_policy(passwordCheckSyntax="on", passwordMinLength="11", passwordMinTokenLength="64")

    values = (*NAMES.values(), USERNAME)
    names = corpus.names(values, 3, SIZE)
    letters = string.ascii_letters
    mixed = (*corpus.ordinary(), *corpus.classes(12), *corpus.names(values, 4, 8), *corpus.lengths(10))
    return (
        World(RuleName.LENGTH_MIN, policy(passwordMinLength="8"), corpus.lengths(8)),
        World(RuleName.LENGTH_MIN, policy(passwordMinLength="15"), corpus.lengths(15)),
        World(RuleName.CLASSES_MIN, policy(passwordMinCategories="3"), corpus.classes(SIZE)),
        World(RuleName.CLASSES_MIN, policy(passwordMinCategories="4"), corpus.classes(SIZE)),
        World(RuleName.DIGITS_MIN, policy(passwordMinDigits="2"), corpus.at_least(2, corpus.DIGITS, SIZE)),
        World(RuleName.LETTERS_MIN, policy(passwordMinAlphas="3"), corpus.at_least(3, letters, SIZE)),
        World(RuleName.UPPER_MIN, policy(passwordMinUppers="2"), corpus.at_least(2, corpus.UPPER, SIZE)),
        World(RuleName.LOWER_MIN, policy(passwordMinLowers="2"), corpus.at_least(2, corpus.LOWER, SIZE)),
        World(
            RuleName.SPECIALS_MIN, policy(passwordMinSpecials="2"), corpus.at_least(2, corpus.SPECIALS, SIZE)
        ),
        World(RuleName.NON_ASCII_MIN, policy(passwordMin8Bit="2"), corpus.at_least(2, corpus.BEYOND, SIZE)),
        World(RuleName.REPEATS_MAX, policy(passwordMaxRepeats="2"), corpus.repeats(2, SIZE)),
        World(RuleName.SEQUENCE_MAX, policy(passwordMaxSequence="3"), corpus.sequences(3, SIZE)),
        World(
            RuleName.SEQUENCE_TWICE, policy(passwordMaxSeqSets="2"), corpus.sequences(2, SIZE, is_twice=True)
        ),
        World(RuleName.CLASS_RUN_MAX, policy(passwordMaxClassChars="4"), corpus.class_runs(4)),
        World(RuleName.NOT_PALINDROME, policy(passwordPalindrome="on"), corpus.palindromes(SIZE)),
        World(RuleName.NOT_WORDS, policy(passwordBadWords="football,tiger orange"), corpus.ordinary()),
        World(RuleName.NOT_NAME, policy(passwordMinTokenLength="3"), names),
        World(RuleName.NOT_NAME, policy(passwordMinTokenLength="5"), corpus.names(values, 5, SIZE)),
        World(RuleName.CHARACTERS, policy(), corpus.schemes(SIZE)),
        World(RuleName.CHARACTERS, policy(passwordCheckSyntax="off"), corpus.schemes(2)),
        World(TOGETHER, policy(**_STRICT, passwordCheckSyntax="on"), mixed),
        World(
            RuleName.NOT_IN_HISTORY,
            policy(passwordHistory="on", passwordInHistory="6", passwordCheckSyntax="on"),
            corpus.classes(SIZE),
            is_again=True,
        ),
        World("local policy", local, corpus.lengths(11)),
    )


@contextlib.contextmanager
def active_directory(folder: Path) -> Iterator[Asked]:
    """Samba as a domain controller."""
    with samba.Samba(folder) as server, samba.SambaDomain(server) as domain:
        # The entry's own name stays: it is its place in the tree.
        own = {name: value for name, value in NAMES.items() if name != "cn"}
        server.change(domain.dn(USERNAME), own)

        def policy(**changes: str) -> Callable[[], None]:
            values = {"minPwdLength": "0", "pwdHistoryLength": "0", "pwdProperties": "0"}
            return lambda: server.change(samba.DOMAIN, values | changes)

        values = (*NAMES.values(), USERNAME)
        complex_ = policy(pwdProperties="1")
        yield Asked(
            "Active Directory (Samba)",
            server.tool("--version").strip(),
            lambda: ActiveDirectory(server.settings(domain.base), ISSUER),
            (
                World(RuleName.LENGTH_MIN, policy(minPwdLength="8"), corpus.lengths(8)),
                World(RuleName.LENGTH_MIN, policy(minPwdLength="14"), corpus.lengths(14)),
                World(RuleName.CLASSES_MIN, complex_, corpus.classes(SIZE)),
                World(RuleName.CLASSES_MIN, complex_, corpus.lengths(9)),
                World(RuleName.NOT_NAME, complex_, corpus.names(values, 4, SIZE)),
                World(
                    TOGETHER,
                    policy(minPwdLength="10", pwdProperties="1"),
                    (*corpus.ordinary(), *corpus.classes(10), *corpus.lengths(10)),
                ),
                World(
                    RuleName.NOT_IN_HISTORY, policy(pwdHistoryLength="6"), corpus.classes(SIZE), is_again=True
                ),
            ),
        )


@contextlib.contextmanager
def keycloak(folder: Path) -> Iterator[Asked]:
    """Keycloak's own store."""
    del folder
    with kc.serving() as server:
        realm = make_ready(kc.make_realm(server, "agreement", public=server.address))
        people = Local(realm)

        def policy(text: str) -> Callable[[], None]:
            def arrange() -> None:
                # Hashed quickly: what is asked here is which passwords are taken.
                quickly = "hashAlgorithm(pbkdf2-sha512) and hashIterations(1)"
                realm.admin("PUT", "", json={"passwordPolicy": f"{text} and {quickly}"})

            return arrange

        yield Asked(
            "Keycloak",
            server.version(),
            people.reader,
            (
                World(RuleName.LENGTH_MIN, policy("length(8)"), corpus.lengths(8)),
                World(RuleName.LENGTH_MIN, policy("length(15)"), corpus.lengths(15)),
                World(RuleName.LENGTH_MAX, policy("maxLength(12)"), corpus.lengths(12)),
                *(
                    World(rule, policy(f"{name}(3)"), corpus.at_least(3, alphabet, SIZE))
                    for rule, name, alphabet in (
                        (RuleName.DIGITS_MIN, "digits", corpus.DIGITS),
                        (RuleName.LOWER_MIN, "lowerCase", corpus.LOWER),
                        (RuleName.UPPER_MIN, "upperCase", corpus.UPPER),
                        (RuleName.SPECIALS_MIN, "specialChars", corpus.SPECIALS),
                    )
                ),
                World(
                    RuleName.NOT_NAME,
                    policy("notContainsUsername(undefined)"),
                    corpus.names((USERNAME,), 4, SIZE),
                ),
                World(
                    TOGETHER,
                    policy("length(10) and digits(1) and upperCase(1) and notUsername(undefined)"),
                    (*corpus.ordinary(), *corpus.classes(10), *corpus.lengths(10)),
                ),
                World(
                    RuleName.NOT_IN_HISTORY, policy("passwordHistory(6)"), corpus.classes(SIZE), is_again=True
                ),
            ),
        )


SERVERS: Mapping[str, Callable[[Path], contextlib.AbstractContextManager[Asked]]] = {
    "openldap": openldap,
    "ds389": ds389,
    "active_directory": active_directory,
    "keycloak": keycloak,
}
