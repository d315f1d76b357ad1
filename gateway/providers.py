"""Which adapters stand for the identity provider and for the place that keeps passwords."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.agents.opening import open_writeback
from gateway.agents.writeback import Writeback
from gateway.settings import Settings
from idp_plugin.base import AccountLocks, Directory, IdpSessions, PasswordWriter, Subject
from idp_plugin.errors import NotPermitted
from idp_plugin.federated_people import FederatedPeople
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.directory import KeycloakDirectory
from idp_plugin.keycloak.federations import federations_of
from idp_plugin.keycloak.password_write import KeycloakPasswords
from idp_plugin.keycloak.sessions import KeycloakSessions
from idp_plugin.ldap.adapters import open_adapter
from idp_plugin.lemonldap_sessions import LemonldapSessions
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.oidc_sessions import OidcSessions, SessionsGoOn
from idp_plugin.password_owners import PasswordOwners
from idp_plugin.targets import Target, TargetDirectory, Targets


@dataclass(frozen=True, slots=True)
class Provider:
    """The adapters that the settings ask for."""

    oidc: OidcProvider
    directory: Directory
    """Finds people."""
    writer: PasswordWriter
    """Writes passwords."""
    sessions: IdpSessions
    """Ends sessions."""
    locks: AccountLocks | None
    """Ends the identity provider's own lock; None where it has none that can be ended."""
    close: Callable[[], None]


def open_provider(settings: Settings, writeback: Writeback | None = None) -> Provider:
    """Return the adapters; nothing is asked yet.

    Args:
        settings: All of them.
        writeback: The directories behind agents, where the caller has them open.
    """
    oidc = OidcProvider(settings.idp, public=settings.gateway.public)
    places = _places(settings, writeback)
    if settings.idp.kind != "keycloak":
        home = settings.directories[0].name
        return Provider(oidc, places[home], _writer(settings, places), _sessions(oidc), None, oidc.close)
    admin = KeycloakAdmin(settings.idp)
    directory = KeycloakDirectory(admin, federations=federations_of(settings.directories))
    owners = PasswordOwners(_owners(settings, places, KeycloakPasswords(admin)))
    people = FederatedPeople(directory, places)
    return Provider(oidc, people, owners, KeycloakSessions(admin), directory, oidc.close)


def _sessions(oidc: OidcProvider) -> IdpSessions:
    if not oidc.settings.ends_sessions:
        return SessionsGoOn()
    return LemonldapSessions(oidc) if oidc.settings.kind == "lemonldap" else OidcSessions(oidc)


def _owners(
    settings: Settings, places: Mapping[str, TargetDirectory], keycloak: PasswordWriter
) -> dict[str, PasswordWriter]:
    """Return who writes whose password, by the source of accounts: every password has one owner."""
    owners: dict[str, PasswordWriter] = {**places, settings.idp.issuer: keycloak}
    if settings.directories:
        owners[settings.directories[0].name] = _writer(settings, places)
    return owners


def _places(settings: Settings, writeback: Writeback | None) -> dict[str, TargetDirectory]:
    """Return the directories that are used: the first and the targets; with Keycloak, every one."""
    source, targets = settings.idp.issuer, {target.directory for target in settings.targets}
    used = [
        each
        for each in settings.directories
        if settings.idp.kind == "keycloak" or each.name in targets or each is settings.directories[0]
    ]
    if writeback is None and any(each.agent for each in used):
        writeback = open_writeback(settings)
    return {
        each.name: writeback.remote(each.name, source)
        if each.agent and writeback
        else open_adapter(each, source)
        for each in used
    }


def _writer(settings: Settings, places: Mapping[str, TargetDirectory]) -> PasswordWriter:
    home = settings.directories[0].name
    if len(settings.targets) < 2:
        return places[home]

    def username(account: Subject) -> str:
        person = places[home].get(Subject(settings.idp.issuer, account.id))
        if person is None:
            raise NotPermitted("missing")
        return person.username

    targets = [Target(each.directory, places[each.directory], each.required) for each in settings.targets]
    return Targets(targets, home=home, username=username)
