"""The steps of a person named bob at Keycloak and at our pages, and what `sparekey serve` reads before it."""

import base64
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from playwright.sync_api import Page

from tests.servers import keycloak as kc
from tests.servers.smtp import SmtpSink

PRIVATE = "bob.private@example.net"
POLICY = """\
[[rules]]
name = "Everybody"
kinds = ["email"]
register = 1
reset = 1
trust_delay_hours = 0
who = { everyone = true }
"""
_CODE = re.compile(r"^\s*(\d{6})\s*$", re.MULTILINE)


def gateway_settings(
    folder: Path, port: int, realm: kc.Realm, mail: SmtpSink
) -> dict[str, dict[str, object]]:
    """Return the settings of a gateway before a realm, all but its directories; its policy is written too."""
    (folder / "policies.toml").write_text(POLICY)
    return {
        "[gateway]": {"public": realm.public, "listen": f"127.0.0.1:{port}", "operations": ""},
        "[idp]": {
            "kind": "keycloak",
            "address": realm.keycloak.address,
            "issuer": realm.issuer,
            "client_id": kc.GATEWAY_CLIENT,
            "client_secret": kc.GATEWAY_SECRET,
        },
        "[database]": {"url": f"sqlite:///{folder / 'sparekey.db'}"},
        "[redis]": {"directory": str(folder / "valkey")},
        "[messages.mail]": {"host": "localhost", "port": mail.port, "ca": str(mail.ca)},
        "[vault]": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
        "[policies]": {"file": str(folder / "policies.toml")},
    }


def toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Return tables as TOML; an empty head comes first."""
    return "\n".join(line for head, values in tables.items() for line in _lines(head, values))


def _lines(head: str, values: Mapping[str, object]) -> Iterable[str]:
    # What JSON writes of these values is TOML too.
    return (head, *(f"{key} = {json.dumps(value)}" for key, value in values.items()))


def mailed_code(mail: SmtpSink, *, after: int) -> str:
    """Return the code in the first message to the private address that came after so many messages."""
    count = after
    while True:
        count += 1
        received = mail.wait(count)[count - 1]
        found = _CODE.search(received.text)
        if found and received.recipients == (PRIVATE,):
            return found.group(1)


def sign_in(page: Page, password: str) -> None:
    """Fill in Keycloak's page."""
    page.locator("#username").fill("bob")
    page.locator("#password").fill(password)
    page.locator("#kc-login").click()


def add_address(page: Page, mail: SmtpSink, public: str) -> None:
    """Register the private address where the sign-in was stopped, and go on."""
    page.wait_for_url(f"{public}/sparekey/register**")
    messages = len(mail.messages)
    page.get_by_role("link", name="Add an e-mail address").click()
    page.get_by_label("E-mail address").fill(PRIVATE)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code", exact=True).fill(mailed_code(mail, after=messages))
    page.get_by_role("button", name="Add this address").click()
    page.get_by_role("button", name="Continue to").click()


def reset(page: Page, mail: SmtpSink, password: str) -> None:
    """Go from the sign-in page to a new password, and back."""
    messages = len(mail.messages)
    page.get_by_role("link", name="Can't access your account?").click()
    page.get_by_label("User name").fill("bob")
    page.get_by_role("button", name="Continue").click()
    # With one kind in the whole policy the page of choice has one choice, or is not needed.
    page.wait_for_url(re.compile("/reset/(choose|code)"))
    if "/choose" in page.url:
        page.get_by_role("radio").first.check()
        page.get_by_role("button", name="Continue").click()
    page.get_by_label("Code", exact=True).fill(mailed_code(mail, after=messages))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("New password").fill(password)
    page.get_by_role("button", name="Change my password").click()
    page.get_by_role("link", name="Go to sign-in").click()
