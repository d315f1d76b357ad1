"""A complete reset by a code or link in a mail, in ours and in two other portals."""

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.canaille import canaille
from benchmarks.forms import Mail, Visitor, mail_server
from benchmarks.harness import Service, Unfit
from benchmarks.lemonldap import lemonldap
from benchmarks.stranger import solved
from benchmarks.table import Result, Target
from benchmarks.whole_gateway import limits_forgotten, whole_gateway
from tests.servers.slapd import Slapd

JOURNEYS = 20
ROUNDS = 3
MOST_MS = 15
OURS = "Sparekey"
METHOD = (
    "Ask, receive the mail, type the code or follow the link, set a new password, see that it is set: every "
    f"request of it. {JOURNEYS} journeys in each of {ROUNDS} interleaved rounds, medians. CPU is that of the "
    "portal's own process tree, with its Valkey or workers, on one core; directory, mail server and browser "
    "are on the other and not counted; start-up is not, as one journey of each comes first, and what workers "
    "do while they wait is. canaille keeps the passwords itself, so its figure holds one password "
    "hash; the others' is the directory's. LemonLDAP::NG's nginx is not counted."
)


@dataclass(slots=True)
class Portal:
    """One portal, and how its reset goes."""

    service: Service
    journey: Callable[[int], int]
    """Takes a number that makes the new password new; returns how many requests it took."""
    cpu_ms: list[float] = field(default_factory=list)
    requests: int = 0

    def measure(self, first: int) -> None:
        """Make one round."""
        began = self.service.cpu_seconds()
        for number in range(first, first + JOURNEYS):
            self.requests = self.journey(number)
        self.cpu_ms.append((self.service.cpu_seconds() - began) / JOURNEYS * 1000)


def run(folder: Path) -> Result:
    """Measure the three portals."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        mail = stack.enter_context(mail_server())
        slapd = stack.enter_context(Slapd(folder / "slapd"))
        gateway, settings = stack.enter_context(whole_gateway(folder / "gateway", mail.port))
        forget = stack.enter_context(limits_forgotten(settings))
        perl, _ = stack.enter_context(lemonldap(folder / "lemonldap", slapd, mail.port))
        other = stack.enter_context(canaille(folder / "canaille", mail.port))
        portals = [
            Portal(gateway, lambda number: _ours(gateway.port, mail, forget, number)),
            Portal(perl, lambda number: _lemonldap(perl.port, mail, number)),
            Portal(other, lambda number: _canaille(other.port, mail, number)),
        ]
        for portal in portals:
            portal.journey(0)
        for turn in range(ROUNDS):
            for portal in portals if turn % 2 == 0 else reversed(portals):
                portal.measure(1 + turn * JOURNEYS)
    return _result(portals)


def _ours(port: int, mail: Mail, forget: Callable[[], None], number: int) -> int:
    forget()
    mail.forget()
    visitor = Visitor(port).open("/sparekey/reset")
    visitor.send("/sparekey/reset", identifier="bob", work=solved(visitor.page))
    visitor.send("/sparekey/reset/choose", kind="email")
    visitor.send("/sparekey/reset/code", code=mail.find(r"(?m)^(\d{6})\s*$"))
    visitor.send("/sparekey/reset/password", password=_password(number), again=_password(number))
    return _done(visitor, "/reset/done" in visitor.at)


def _lemonldap(port: int, mail: Mail, number: int) -> int:
    mail.forget()
    visitor = Visitor(port).open("/resetpwd").send("/resetpwd", mail="bob@example.org")
    visitor.open(mail.find(r'(https?://[^\s"<]+mail_token[^\s"<]+)'))
    visitor.send("/resetpwd", newpassword=_password(number), confirmpassword=_password(number))
    return _done(visitor, "mail_token" not in visitor.page and "error" not in visitor.at)


def _canaille(port: int, mail: Mail, number: int) -> int:
    mail.forget()
    visitor = Visitor(port).open("/reset").send("/reset", login="bob")
    link = mail.find(r'(http://[^\s"<]+/reset/[^\s"<]+)')
    visitor.open(link).send(link, password=_password(number), confirmation=_password(number))
    return _done(visitor, "updated successfully" in visitor.page)


def _done(visitor: Visitor, is_done: bool) -> int:
    if not is_done:
        raise Unfit(f"no reset, but {visitor.at}")
    return visitor.requests


def _password(number: int) -> str:
    return f"Brand-New-Horse-{number}-Battery"


def _result(portals: list[Portal]) -> Result:
    cpu = {portal.service.name: statistics.median(portal.cpu_ms) for portal in portals}
    return Result(
        title="A complete reset by mail",
        method=METHOD,
        columns=("", "requests", "CPU ms/journey", "ratio"),
        rows=[
            (
                portal.service.name,
                str(portal.requests),
                f"{cpu[portal.service.name]:.1f}",
                f"{cpu[portal.service.name] / cpu[OURS]:.1f}",
            )
            for portal in portals
        ],
        targets=[
            Target(
                f"CPU of the portal per journey: at most {MOST_MS} ms",
                f"{cpu[OURS]:.1f} ms",
                cpu[OURS] <= MOST_MS,
            ),
        ],
    )
