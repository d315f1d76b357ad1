"""Sparekey's pages as a WSGI application, on a real directory, provider, database and Valkey; no plane."""

import base64
import contextlib
import copy
import datetime as dt
import hashlib
import html
import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
from webtest import TestApp, TestResponse

from flows.authenticators import recovery_codes, totp
from flows.authenticators.email_address import lookups
from gateway.app import Sparekey, build
from gateway.settings import from_mapping
from idp_plugin.base import Identity
from idp_plugin.demo import servers
from idp_plugin.demo.directory import PEOPLE_BASE
from idp_plugin.demo.directory_entry import Credential
from idp_plugin.demo.people import PEOPLE
from idp_plugin.demo.provider import SESSION_COOKIE, SESSIONS_PATH
from idp_plugin.demo.servers import DemoAddresses, RunningDemo
from tests.servers.processes import free_port

POLICY = """
[[rules]]
name = "Everybody on the staff"
kinds = {kinds}
register = {reset}
reset = {reset}
reconfirm_days = 180
unlock_allowed = {unlock_allowed}
trust_delay_hours = {trust_delay_hours}
on_fault = "deny"

[rules.who]
groups = ["staff"]

[rules.postpone]
times = 3
"""
CODE = re.compile(r"\b(\d{3}) ?(\d{3})\b")


@dataclass
class Clock:
    """Time that passes only when told to."""

    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += dt.timedelta(**span)


@dataclass
class World:
    """Everything that a story needs."""

    sparekey: Sparekey
    around: RunningDemo
    clock: Clock
    folder: Path
    seeds: dict[str, str] = field(default_factory=dict)
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._credentials = {
            person.username: copy.deepcopy(self.credential(person.username)) for person in PEOPLE
        }

    def begin_anew(self) -> None:
        """Forget everything that a story left behind."""
        self.clock.now = dt.datetime.now(dt.UTC)
        self.sparekey.services.expiring.client.flushall()
        with contextlib.closing(sqlite3.connect(self.folder / "sparekey.db")) as database, database:
            for table in ("postponements", "authenticators", "audit_events", "spent", "people"):
                database.execute(f"delete from {table}")
        for message in (self.folder / "outbox").glob("*"):
            message.unlink()
        for username, credential in self._credentials.items():
            self.around.served.entry(f"uid={username},{PEOPLE_BASE}").credential = copy.deepcopy(credential)

    def credential(self, username: str) -> Credential:
        """What the directory keeps of somebody's password, to be arranged."""
        found = self.around.served.entry(f"uid={username},{PEOPLE_BASE}").credential
        assert found
        return found

    @property
    def public(self) -> str:
        return self.sparekey.services.settings.gateway.public

    def browser(self, address: str = "127.0.0.1", **environ: str) -> "PageVisitor":
        """A new browser without cookies."""
        return PageVisitor(self, address, environ)

    def identity(self, username: str) -> Identity:
        found = self.sparekey.provider.directory.find(username)
        assert found
        return found

    def register(self, username: str, *kinds: str, days_ago: float = 0) -> None:
        """Give somebody ways back in."""
        services, subject = self.sparekey.services, self.identity(username).subject
        then = self.clock() - dt.timedelta(days=days_ago)
        address, seed = f"{username}.private@example.net", totp.new_seed()
        self.seeds[username] = totp.base32(seed)
        self.codes[username] = recovery_codes.new_codes()
        secrets = {
            "email": address.encode(),
            "totp": seed,
            "recovery_codes": recovery_codes.secret_of(self.codes[username]),
        }
        with services.database.transaction() as transaction:
            person = transaction.people.ensure(subject.source, subject.id, now=then)
            for kind in kinds:
                transaction.authenticators.add(
                    person.id,
                    kind,
                    secrets[kind],
                    now=then,
                    trusted_from=then,
                    provenance="self",
                    lookup=lookups(services.vault, address)[0] if kind == "email" else "",
                )

    def work(self) -> None:
        """Let the queue do everything that is due, follow-ups included."""
        while self.sparekey.services.jobs.drain(now=self.clock()):
            pass

    def messages(self, to: str = "") -> list[dict[str, str]]:
        """Messages that left, newest first."""
        self.work()
        folder = self.sparekey.services.settings.demo.outbox
        assert folder
        found = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
        found.sort(key=lambda message: message["sent_at"], reverse=True)
        return [message for message in found if to in message["to"]]

    def code(self, to: str) -> str:
        """The newest code that somebody was sent."""
        for message in self.messages(to):
            if found := CODE.search(message["text"]):
                return "".join(found.groups())
        raise AssertionError(f"no code was sent to {to}")


@dataclass
class PageVisitor:
    """A browser at our pages: cookies, forms, redirects."""

    world: World
    address: str
    environ: dict[str, str]
    page: TestResponse | None = None
    """Where a story has put it."""

    def __post_init__(self) -> None:
        netloc = urlsplit(self.world.public).netloc
        extra = {"HTTP_HOST": netloc, "REMOTE_ADDR": self.address, **self.environ}
        self.app = TestApp(self.world.sparekey.app, extra_environ=extra)
        self.provider_cookies = httpx.Cookies()

    def get(self, path: str, *, status: int | None = 200) -> TestResponse:
        """Open a page, following redirects through our own pages and the provider's."""
        return self._follow(self.app.get(path, status="*"), status)

    def submit(
        self, page: TestResponse, index: int = 0, *, status: int | None = 200, **fields: str
    ) -> TestResponse:
        """Fill in one of the page's forms, press its button, and follow."""
        form = page.forms[index]
        if "again" in form.fields:
            # No script runs here, so the page asks for the new password twice.
            fields.setdefault("again", fields.get("password", ""))
        for name, value in fields.items():
            form[name].force_value(value)
        return self._follow(form.submit(status="*"), status)

    def start_reset(
        self, identifier: str, *, path: str = "/sparekey/reset", status: int | None = 200
    ) -> TestResponse:
        """Type a name, with the work done as the page's script does it."""
        page = self.get(path)
        return self.submit(page, identifier=identifier, work=solved(page), status=status)

    def reset_until_code(self, identifier: str, kind: str = "email", *, hurry: bool = False) -> TestResponse:
        """Go on until the page asks for the code; unless in a hurry, until it may be answered."""
        page = self.submit(self.start_reset(identifier), kind=kind)
        self.world.work()
        self.world.clock.forward(seconds=0 if kind == "email" or hurry else 5)
        return page

    def sign_in(
        self, username: str, path: str = "/sparekey/", *, password: str = "", status: int | None = 200
    ) -> TestResponse:
        """Open a page of ours that needs a sign-in, and sign in at the provider."""
        # A session of the very moment in which another was ended counts as ended with it.
        self.world.clock.forward(milliseconds=1)
        self.credentials = (username, password or self.world.around.passwords[username])
        return self.get(path, status=status)

    def cookie(self, name: str) -> str:
        return str(self.app.cookies.get(f"sparekey-{name}", ""))

    def _follow(self, answer: TestResponse, status: int | None) -> TestResponse:
        for _step in range(12):
            if answer.status_int not in {302, 303}:
                break
            location = urljoin(answer.request.url, answer.headers["Location"])
            if not urlsplit(location).path.startswith("/sparekey"):
                if not self._is_provider(location):
                    break
                location = self._through_provider(location)
            answer = self.app.get(location.removeprefix(self.world.public), status="*")
        if status is not None:
            assert answer.status_int == status, f"{answer.status} {heading(answer)} at {answer.request.url}"
        return answer

    def _is_provider(self, location: str) -> bool:
        return location.startswith(f"{self.world.public}/authorize")

    def _through_provider(self, location: str) -> str:
        """Sign in as the plane would let a browser do, and return where the provider leads back to."""
        inside = self.world.around.provider
        headers = {"Host": urlsplit(self.world.public).netloc}
        with httpx.Client(trust_env=False, cookies=self.provider_cookies, headers=headers) as client:
            answer = client.get(location.replace(self.world.public, inside))
            if not answer.is_redirect:
                action = re.search(r'<form[^>]*action="([^"]*)"', answer.text)
                assert action, answer.text
                username, password = self.credentials
                target = urljoin(str(answer.url), html.unescape(action[1])).replace(self.world.public, inside)
                answer = client.post(target, data={"username": username, "password": password})
            self.provider_cookies = client.cookies
            return str(answer.headers["location"])


def heading(page: TestResponse) -> str:
    """What the page's heading says."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page.text, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""


def solved(page: TestResponse) -> str:
    """Do the work that the page asks for."""
    found = re.search(r'data-work="([^"]*)"', page.text)
    assert found, page.text
    challenge = json.loads(html.unescape(found[1]))
    for number in range(challenge["maxnumber"] + 1):
        if hashlib.sha256(f"{challenge['salt']}{number}".encode()).hexdigest() == challenge["challenge"]:
            return base64.b64encode(json.dumps({**challenge, "number": number}).encode()).decode()
    raise AssertionError("the challenge has no answer")


@contextlib.contextmanager
def open_world(
    folder: Path,
    *,
    reset: int = 1,
    trust_delay_hours: int = 0,
    unlock_allowed: bool = True,
    kinds: Sequence[str] = ("email", "totp", "recovery_codes"),
    host: str = "127.0.0.1",
    port: int = 0,
    **sections: dict[str, object],
) -> Iterator[World]:
    """Start everything around the pages, then the pages."""
    application_port = free_port()
    addresses = DemoAddresses(f"http://{host}:{port or free_port()}", f"http://{host}:{application_port}")
    clock = Clock()
    policy = folder / "policies.toml"
    filled = POLICY.format(
        kinds=json.dumps(kinds),
        reset=reset,
        trust_delay_hours=trust_delay_hours,
        unlock_allowed=str(unlock_allowed).lower(),
    )
    policy.write_text(filled, encoding="utf-8")
    with (
        servers.start_at(addresses, folder, application_port) as around,
        build(_settings(folder, policy, around, sections), clock=clock) as sparekey,
    ):
        yield World(sparekey, around, clock, folder)


def _settings(folder: Path, policy: Path, around: RunningDemo, sections: dict[str, dict[str, object]]):
    public = around.addresses.public
    document: dict[str, dict[str, object]] = {
        "gateway": {
            "public": public,
            "listen": f"127.0.0.1:{urlsplit(public).port}",
            "operations": "",
            "return_to": [around.addresses.application],
        },
        "idp": {
            "kind": "oidc",
            "address": around.provider,
            "issuer": public,
            "client_id": servers.GATEWAY_CLIENT,
            "client_secret": around.client_secret,
            "scope": "openid profile email groups",
            "session_cookies": [SESSION_COOKIE],
            "sessions_path": SESSIONS_PATH,
        },
        "database": {"url": f"sqlite:///{folder / 'sparekey.db'}"},
        "redis": {"directory": str(folder / "valkey")},
        "messages": {"mail": {"organisation": "Example Company"}},
        "vault": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
        "policies": {"file": str(policy)},
        "limits": {"work_difficulty": 100, "starts_per_minute": 1000},
        "demo": {"outbox": str(folder / "outbox")},
    }
    for name, section in sections.items():
        is_list = isinstance(section, list)
        document[name] = section if is_list else {**document.get(name, {}), **section}
    further = document.get("directories", [])
    return from_mapping({**document, "directories": [around.directory.model_dump(), *further]})


WorldFactory = Callable[..., World]
