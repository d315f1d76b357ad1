"""The capability matrix: read from real servers, and from recorded answers where a server cannot be had."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.ldap import server_facts
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.ds389 import Ds389 as Ds389Directory
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.ldap.server_facts import FactsReader, ServerFacts, matrix, read
from tests.servers.ds389 import Ds389
from tests.servers.slapd import SUFFIX, Slapd

ISSUER = "https://sso.example.org"

LLDAP = {
    "vendorname": (b"LLDAP",),
    "vendorversion": (b"lldap_0.6.1",),
    "namingcontexts": (b"dc=corp,dc=org",),
}
FREE_IPA = {
    "vendorname": (b"389 Project",),
    "vendorversion": (b"389-Directory/2.4.5 B2024.017.0000",),
    "namingcontexts": (b"cn=changelog", b"dc=corp,dc=org", b"o=ipaca"),
    "ipadomainlevel": (b"1",),
}


@dataclass
class Recorded:
    """Answers every question with one recorded root entry."""

    root: Mapping[str, tuple[bytes, ...]]
    server: Server = field(default_factory=lambda: Server("127.0.0.1", 636, start_tls=False))
    asked: int = 0

    def search(self, *_: object, **__: object) -> list[Entry]:
        self.asked += 1
        return [Entry("", self.root)]


def facts_of(root: Mapping[str, tuple[bytes, ...]]) -> ServerFacts:
    return read(cast("Session", Recorded(root)))


def test_openldap_says_what_it_can(slapd: Slapd) -> None:
    ((address, facts),) = OpenLdap(slapd.settings(), ISSUER).facts()
    assert address == f"127.0.0.1:{slapd.tls_port}"
    assert facts.product == "openldap"
    assert facts.explains_refusals
    assert facts.changes_by_extension
    assert facts.keeps_change_times
    assert facts.knows_member_of
    assert not facts.takes_policy_hints
    assert facts.context_of(f"ou=people,{SUFFIX.upper()}") == SUFFIX


def test_389_ds_says_what_it_can(ds389: Ds389) -> None:
    ((_, facts),) = Ds389Directory(ds389.settings(), ISSUER).facts()
    assert facts.product == "ds389"
    assert facts.version.startswith("389-Directory/2.3")
    assert facts.tells_usability
    assert facts.keeps_change_times
    assert dict(matrix(facts))["has passwords that Sparekey writes"]


def test_lldap_and_freeipa_are_told_from_what_they_resemble() -> None:
    assert facts_of(LLDAP).product == "lldap"
    assert facts_of(FREE_IPA).product == "freeipa"
    assert facts_of({"vendorname": (b"389 Project",)}).product == "ds389"
    assert facts_of({}).product == ""


@pytest.mark.parametrize("root", [LLDAP, FREE_IPA])
def test_their_passwords_are_refused_in_so_many_words(
    slapd: Slapd, monkeypatch: pytest.MonkeyPatch, root: Mapping[str, tuple[bytes, ...]]
) -> None:
    monkeypatch.setattr(server_facts, "read", lambda _session: facts_of(root))
    directory = OpenLdap(slapd.settings(), ISSUER)
    alice = directory.find("alice")
    assert alice
    for write in (
        lambda: directory.set_password(alice.account, "Quite-New-Passw0rd"),
        lambda: directory.change_password(alice.account, "Alice-Passw0rd", "Quite-New-Passw0rd"),
        lambda: directory.unlock(alice.account),
    ):
        with pytest.raises(IdpMisconfigured) as refused:
            write()
        assert facts_of(root).product in refused.value.what
    assert slapd.accepts("alice", "Alice-Passw0rd")


def test_a_server_is_asked_once_in_ten_minutes() -> None:
    now = [0.0]
    reader, session = FactsReader(lambda: now[0]), Recorded(LLDAP)
    reader.of(cast("Session", session))
    asked = session.asked
    now[0] = 599.0
    reader.of(cast("Session", session))
    assert session.asked == asked
    now[0] = 601.0
    reader.of(cast("Session", session))
    assert session.asked > asked


def test_two_servers_are_not_mistaken_for_each_other() -> None:
    reader = FactsReader()
    other = Server("127.0.0.2", 636, start_tls=False)
    assert reader.of(cast("Session", Recorded(LLDAP))).product == "lldap"
    assert reader.of(cast("Session", Recorded(FREE_IPA, other))).product == "freeipa"


def test_every_name_of_an_attribute_counts() -> None:
    root = {
        "subschemasubentry": (b"cn=schema",),
        "attributetypes": (
            b"( 1.2.3 NAME ( 'pwdChangedTime' 'changed' ) DESC 'NAME ''x''' )",
            b"( 1.2.4 NAME 'memberOf' SYNTAX 1 )",
            b"( 1.2.5 )",
        ),
    }
    facts = facts_of(root)
    assert facts.attributes == {"pwdchangedtime", "changed", "memberof"}
    assert facts.keeps_change_times


def test_without_a_naming_context_the_base_itself_is_searched() -> None:
    assert ServerFacts().context_of("ou=people,dc=x") == "ou=people,dc=x"
