"""One organisation with everything that the journeys need: real stores, real queue, a small directory."""

import datetime as dt
import json
import re
import shutil
import threading
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyotp
from altcha.v1 import solve_challenge

from enforcement.current_policy import adopt
from enforcement.gate import Gate
from flows.assembly import Recovery, assemble
from flows.authenticators import recovery_codes, totp
from flows.authenticators.email_address import lookups
from flows.errors import MessageNotSent
from flows.ground import Ground
from flows.messaging.budget_settings import BudgetsSettings
from flows.messaging.message import Message
from flows.registering.member import Member
from flows.settings import LimitSettings, MailSettings, MessagesSettings
from idp_plugin.base import Identity, Subject, TargetResult, WriterCapabilities
from idp_plugin.errors import IdpError, IdpUnavailable, WrongPassword
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs
from store.vault import Vault

ORGANISATION = "Example Company"
PORTAL = "https://sso.example.org/sparekey"
ISSUER = "https://sso.example.org"
START = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)
LIMITS = LimitSettings(work_difficulty=100, starts_per_minute=1000, starts_per_minute_overall=100_000)
POLICY = """\
[[rules]]
name = "Everybody"
register = {register}
reset = {reset}
trust_delay_hours = {delay}
{more}
[rules.who]
everyone = true
[rules.postpone]
times = 2
"""


@dataclass
class Clock:
    """Time that stands until it is moved."""

    now: dt.datetime = START

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **duration: float) -> dt.datetime:
        self.now += dt.timedelta(**duration)
        return self.now


class MemoryDirectory:
    """A directory, a password writer and the sessions at the identity provider, in one dictionary."""

    def __init__(self) -> None:
        self.people: dict[str, Identity] = {}
        self.passwords: dict[str, str] = {}
        self.written: list[tuple[str, str]] = []
        self.unlocked: list[tuple[str, bool]] = []
        self.stopped: set[str] = set()
        """Subjects that the identity provider itself has locked."""
        self.ended: list[str] = []
        self.remaining = 0
        self.down = False
        self.refuse: IdpError | None = None
        self.refuse_sessions: IdpError | None = None
        self.refuse_clearing: IdpError | None = None
        self.can = WriterCapabilities()
        self.targets: tuple[TargetResult, ...] = ()
        self._lock = threading.Lock()

    def add(self, username: str, **facts: Any) -> Identity:
        identity = Identity(
            subject=Subject(ISSUER, f"sub-{username}"),
            account=Subject("people", f"entry-{username}"),
            username=username,
            display_name=facts.pop("display_name", username.title()),
            emails=facts.pop("emails", (f"{username}@example.org",)),
            **facts,
        )
        self.people[username] = identity
        self.passwords[identity.account.id] = "Old-Password-1"
        return identity

    def change(self, username: str, **facts: Any) -> None:
        self.people[username] = replace(self.people[username], **facts)

    def find(self, identifier: str) -> Identity | None:
        self._reach()
        wanted = identifier.casefold()
        for each in self.people.values():
            if wanted in {each.username.casefold(), *(mail.casefold() for mail in each.emails)}:
                return each
        return None

    def get(self, subject: Subject) -> Identity | None:
        self._reach()
        return next((each for each in self.people.values() if each.subject == subject), None)

    def everyone(self, groups: Iterable[str] = ()) -> Iterable[Identity]:
        return iter(self.people.values())

    def capabilities(self, account: Subject) -> WriterCapabilities:
        self._reach()
        return self.can

    def set_password(self, account: Subject, new: str) -> tuple[TargetResult, ...]:
        self._reach()
        if self.refuse:
            raise self.refuse
        with self._lock:
            self.passwords[account.id] = new
            self.written.append((account.id, new))
        return self.targets

    def change_password(self, account: Subject, old: str, new: str) -> tuple[TargetResult, ...]:
        self._reach()
        if self.passwords[account.id] != old:
            raise WrongPassword
        return self.set_password(account, new)

    def unlock(self, account: Subject) -> bool:
        self._reach()
        if self.refuse:
            raise self.refuse
        with self._lock:
            name = next(name for name, each in self.people.items() if each.account == account)
            was_locked = self.people[name].locked
            self.change(name, locked=False)
            self.unlocked.append((account.id, was_locked))
        return was_locked

    def clear(self, subject: Subject) -> bool:
        if self.refuse_clearing:
            raise self.refuse_clearing
        was_locked = subject.id in self.stopped
        self.stopped.discard(subject.id)
        return was_locked

    def end_all(self, subject: Subject) -> int:
        if self.refuse_sessions:
            raise self.refuse_sessions
        self.ended.append(subject.id)
        return self.remaining

    def _reach(self) -> None:
        if self.down:
            raise IdpUnavailable("memory")


class Outbox:
    """A channel that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fail: MessageNotSent | None = None

    def send(self, message: Message) -> None:
        if self.fail:
            raise self.fail
        self.messages.append(message)

    def to(self, address: str) -> list[Message]:
        return [each for each in self.messages if each.to == address]


@dataclass
class World:
    """Everything, with a clock to move."""

    database: Database
    vault: Vault
    expiring: Expiring
    counters: Counters
    jobs: Jobs
    gate: Gate
    directory: MemoryDirectory
    outbox: Outbox
    clock: Clock
    recovery: Recovery
    ground: Ground
    limits: LimitSettings
    seeds: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Recovery codes, by user name."""

    @property
    def now(self) -> dt.datetime:
        return self.clock.now

    def a_person(self, username: str, *, registered: tuple[str, ...] = (), **facts: Any) -> Identity:
        """A person in the directory, with authenticators that are trusted."""
        identity = self.directory.add(username, **facts)
        with self.database.transaction() as transaction:
            person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=self.now)
            for kind in registered:
                self._register(transaction, person.id, username, kind)
        return identity

    def _register(self, transaction: Any, person_id: str, username: str, kind: str) -> None:
        address = private(username)
        seed = self.seeds.setdefault(username, totp.new_seed())
        codes = self.codes.setdefault(username, recovery_codes.new_codes())
        secrets = {"email": address.encode(), "totp": seed, "recovery_codes": recovery_codes.secret_of(codes)}
        transaction.authenticators.add(
            person_id,
            kind,
            secrets[kind],
            now=self.now,
            trusted_from=self.now,
            provenance="self",
            lookup=lookups(self.vault, address)[0] if kind == "email" else "",
        )

    def person_id(self, username: str) -> str:
        subject = self.directory.people[username].subject
        with self.database.reading() as transaction:
            person = transaction.people.by_subject(subject.source, subject.id)
        assert person
        return person.id

    def authenticators(self, username: str) -> tuple[Any, ...]:
        with self.database.reading() as transaction:
            return transaction.authenticators.of(self.person_id(username))

    def member(self, username: str, session: str = "portal-session", **facts: Any) -> Member:
        return Member(self.directory.people[username].subject, session, **facts)

    def drain(self) -> None:
        """Run jobs until none is due."""
        while self.jobs.drain(now=dt.datetime.now(dt.UTC)):
            pass

    def drain_later(self) -> None:
        """Run the jobs that wait, too."""
        while self.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(days=2)):
            pass

    def work(self, address: str = "192.0.2.7", purpose: str = "reset") -> str:
        """Finished work, as a browser does it."""
        return solved(self.recovery.work.new_challenge(purpose, address, self.now))

    def journey(self, purpose: str) -> Any:
        recovery = self.recovery
        return {"reset": recovery.reset, "unlock": recovery.unlock, "change": recovery.change}[purpose]

    def start(
        self,
        identifier: str,
        purpose: str = "reset",
        *,
        browser: str = "browser-a",
        address: str = "192.0.2.7",
        device: str = "",
    ) -> Any:
        work = self.work(address, purpose)
        return self.journey(purpose).start(
            identifier, address=address, browser=browser, work=work, now=self.now, device=device
        )

    def send(
        self,
        attempt: Any,
        kind: str = "email",
        *,
        browser: str = "browser-a",
        hurry: bool = False,
        **more: Any,
    ) -> Any:
        """Open a challenge; unless in a hurry, wait until kinds that are not sent may be answered."""
        changed = self.journey(attempt.purpose).send(
            attempt.id, kind, browser=browser, address="192.0.2.7", now=self.now, **more
        )
        if kind != "email" and not hurry:
            self.clock.forward(seconds=5)
        return changed

    def verify(self, attempt: Any, answer: str, *, browser: str = "browser-a") -> Any:
        return self.journey(attempt.purpose).verify(attempt.id, answer, browser=browser, now=self.now)

    def set_password(self, attempt: Any, new: str, *, browser: str = "browser-a") -> Any:
        return self.recovery.reset.set_password(attempt.id, new, browser=browser, now=self.now)

    def unlock(self, attempt: Any, *, browser: str = "browser-a") -> Any:
        return self.recovery.unlock.unlock(attempt.id, browser=browser, now=self.now)

    def read(self, attempt: Any, *, browser: str = "browser-a") -> Any:
        return self.journey(attempt.purpose).read(attempt.id, browser=browser, now=self.now)

    def code_for(self, username: str) -> str:
        """The newest code that reached a person's private address."""
        self.drain()
        return code_in(self.outbox.to(private(username))[-1])

    def app_code(self, username: str, *, steps: int = 0) -> str:
        """What the person's authenticator app shows, some steps from now."""
        return app_code(self.seeds[username], self.now, steps)

    def proved(
        self, identifier: str, username: str = "", purpose: str = "reset", *, browser: str = "browser-a"
    ) -> Any:
        """An attempt with the mail code proved."""
        attempt = self.start(identifier, purpose, browser=browser)
        self.drain()
        self.send(attempt, browser=browser)
        return self.verify(attempt, self.code_for(username or identifier), browser=browser)

    def audited(self, action: Any) -> tuple[Any, ...]:
        with self.database.reading() as transaction:
            return transaction.audit.find(action=action)


def private(username: str) -> str:
    return f"{username}.private@example.net"


def code_in(message: Message) -> str:
    found = re.search(r"^\d{6}$", message.text, re.MULTILINE)
    assert found, message.text
    return found[0]


def app_code(seed: bytes, now: dt.datetime, steps: int = 0) -> str:
    return pyotp.TOTP(totp.base32(seed)).generate_otp(int(now.timestamp()) // 30 + steps)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def solved(challenge: Mapping[str, Any]) -> str:
    solution = solve_challenge(
        challenge["challenge"], challenge["salt"], challenge["algorithm"], challenge["maxnumber"]
    )
    assert solution
    answer = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return b64encode(json.dumps({**answer, "number": solution.number}).encode()).decode()


def policy(*, register: int = 1, reset: int = 1, delay: int = 24, more: str = "") -> str:
    return POLICY.format(register=register, reset=reset, delay=delay, more=more)


def empty_database(folder: Path) -> Path:
    """A database file with the newest schema and no rows, to be copied for each test."""
    file = folder / "empty.db"
    database = Database(f"sqlite:///{file}", Vault([b"k" * 32]))
    database.upgrade()
    database.dispose()
    return file


def _copied(empty: Path, folder: Path) -> str:
    shutil.copyfile(empty, folder / "sparekey.db")
    return f"sqlite:///{folder / 'sparekey.db'}"


def open_world(
    folder: Path,
    empty: Path,
    valkey_url: str,
    limits: LimitSettings = LIMITS,
    document: str = "",
    directory: Any = None,
    lasting: str = "",
    provider_locks: bool = True,
    sign_in_domains: Sequence[str] = (),
    sms_budget: Mapping[str, Any] | None = None,
    **more: Any,
) -> World:
    """Open everything; `lasting` is the address of another database than a copy of the empty one."""
    vault = Vault([b"k" * 32])
    database = Database(lasting or _copied(empty, folder), vault)
    if lasting:
        database.upgrade()
    adopt(database, document or policy(), author="test", now=START)
    expiring = Expiring(valkey_url, vault)
    counters, jobs = Counters(expiring), Jobs(valkey_url, vault)
    gate, outbox, clock = Gate(database), Outbox(), Clock()
    directory = directory or MemoryDirectory()
    messages = MessagesSettings(
        mail=MailSettings(organisation=ORGANISATION),
        sign_in_domains=tuple(sign_in_domains),
        budgets=BudgetsSettings.model_validate({"sms": sms_budget or {}}),
    )
    ground = Ground(
        database=database,
        expiring=expiring,
        counters=counters,
        jobs=jobs,
        policies=gate.current_policy,
        directory=directory,
        writer=directory,
        sessions=directory,
        locks=directory if provider_locks else None,
        channels={"email": [outbox], "sms": [outbox], "voice": [outbox]},
        limits=limits,
        messages=messages,
        portal=PORTAL,
        clock=clock,
        **more,
    )
    recovery = assemble(ground)
    return World(
        database, vault, expiring, counters, jobs, gate, directory, outbox, clock, recovery, ground, limits
    )


def close_world(world: World) -> None:
    world.jobs.stop()
    world.expiring.close()
    world.database.dispose()
