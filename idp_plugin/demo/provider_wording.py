"""What the demo identity provider's sign-in page says, in three languages."""

from collections.abc import Mapping
from types import MappingProxyType

WORDING: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "title": "Sign in",
            "organisation": "Example Organisation",
            "username": "User name",
            "password": "Password",
            "submit": "Sign in",
            "error": "Error:",
            "wrong": "The user name or the password is not right.",
            "expired": "Your password has expired and must be changed before you can sign in.",
            "signed_out": "You are signed out",
            "confirm_sign_out": "Do you want to sign out?",
            "sign_out": "Sign out",
            "unusable_request": "This sign-in request cannot be used",
            "start_again": "Go back to the application and start again.",
            "continue": "Continue",
            "continuing": "Signing in …",
        },
        "de": {
            "title": "Anmelden",
            "organisation": "Beispielorganisation",
            "username": "Benutzername",
            "password": "Passwort",
            "submit": "Anmelden",
            "error": "Fehler:",
            "wrong": "Benutzername oder Passwort stimmt nicht.",
            "expired": "Ihr Passwort ist abgelaufen und muss vor der Anmeldung geändert werden.",
            "signed_out": "Sie sind abgemeldet",
            "confirm_sign_out": "Möchten Sie sich abmelden?",
            "sign_out": "Abmelden",
            "unusable_request": "Diese Anmeldeanfrage ist nicht verwendbar",
            "start_again": "Gehen Sie zurück zur Anwendung und beginnen Sie von vorn.",
            "continue": "Weiter",
            "continuing": "Anmeldung läuft …",
        },
        "fr": {
            "title": "Connexion",
            "organisation": "Organisation Exemple",
            "username": "Nom d\u2019utilisateur",
            "password": "Mot de passe",
            "submit": "Se connecter",
            "error": "Erreur :",
            "wrong": "Le nom d\u2019utilisateur ou le mot de passe est incorrect.",
            "expired": "Votre mot de passe a expiré et doit être changé avant la connexion.",
            "signed_out": "Vous êtes déconnecté",
            "confirm_sign_out": "Voulez-vous vous déconnecter ?",
            "sign_out": "Se déconnecter",
            "unusable_request": "Cette demande de connexion est inutilisable",
            "start_again": "Revenez à l\u2019application et recommencez.",
            "continue": "Continuer",
            "continuing": "Connexion en cours …",
        },
    }
)
