"""`python -m benchmarks.agreement [SERVER…]`: predict, then ask the real directory, and count who was right.

A candidate is predicted *refused* when a rule that was read says so, *taken* when every rule is obeyed, and
*untold* when a rule remains that only the server can tell. Prints, and writes `docs/agreement.md` when every
server was asked.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from _pytest.outcomes import OutcomeException

from benchmarks import agreement_corpus as corpus
from benchmarks.agreement_servers import SERVERS, USERNAME, Adapter, Asked, World
from idp_plugin.base import Subject
from idp_plugin.errors import PasswordRefused
from idp_plugin.password_rules import AccountNames, PasswordRule, check

PAGE = Path("docs/agreement.md")
CANDIDATES = 1_200
GOAL = 0.99

INTRODUCTION = """\
# Predicted and actual refusals

<!-- Written by `python -m benchmarks.agreement`. -->

Sparekey reads a directory's rules and ticks them off while somebody types. This table says how often it is
right: candidates around every bound, from a generator with a fixed seed, are first predicted from the rules
that the adapter read, and then written to the real server through the adapter. A row is one rule, alone or
with the others. *Could not be told* are those where a rule remains that only the server can tell, such as its
history; there a page promises nothing, and says afterwards what the server's code means.

| server | rule | asked | refused | predicted right | could not be told | wrong | agreement |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


@dataclass(slots=True)
class Count:
    """What came of the candidates of one rule."""

    asked: int = 0
    refused: int = 0
    right: int = 0
    untold: int = 0
    wrong: list[tuple[str, bool]] = field(default_factory=list)
    """The candidate, and whether the server took it."""

    def add(self, candidate: str, *, predicted: bool | None, is_taken: bool) -> None:
        """Count one candidate."""
        self.asked += 1
        self.refused += not is_taken
        if predicted is None:
            self.untold += 1
        elif predicted is is_taken:
            self.right += 1
        else:
            self.wrong.append((candidate, is_taken))

    def plus(self, other: "Count") -> "Count":
        """Return the sum."""
        return Count(
            self.asked + other.asked,
            self.refused + other.refused,
            self.right + other.right,
            self.untold + other.untold,
            [*self.wrong, *other.wrong],
        )

    @property
    def agreement(self) -> float:
        """How many of the predictions were right; 1 where none was made."""
        told = self.asked - self.untold
        return self.right / told if told else 1.0

    def row(self, server: str, rule: str) -> str:
        """Return a row of the table."""
        shown = f"{self.agreement:.1%}" if self.asked > self.untold else "-"
        cells = (server, rule, self.asked, self.refused, self.right, self.untold, len(self.wrong), shown)
        return f"| {' | '.join(map(str, cells))} |"


def count(server: Asked, candidates: int) -> dict[str, Count]:
    """Ask one server and return the counts by rule, in order.

    Args:
        server: Ready to be asked.
        candidates: About so many, divided among its worlds.
    """
    counts: dict[str, Count] = {}
    share = -(-candidates // len(server.worlds))
    for number, world in enumerate(server.worlds):
        found = counts.setdefault(world.rule, Count())
        for candidate, predicted, is_taken in _answers(server, world, share, f"{number}"):
            found.add(candidate, predicted=predicted, is_taken=is_taken)
    return counts


def _answers(server: Asked, world: World, share: int, seed: str) -> Iterator[tuple[str, bool | None, bool]]:
    world.arrange()
    adapter = server.adapter()
    person = adapter.find(USERNAME)
    assert person is not None
    rules = adapter.capabilities(person.account).rules
    names = AccountNames(person.username, person.display_name, person.emails)
    chosen = corpus.take(share, f"{server.name} {seed}", world.generators)
    for candidate in _twice(chosen, share) if world.is_again else chosen:
        predicted = _predicted(rules, candidate, names)
        yield candidate, predicted, _is_taken(adapter, person.account, candidate)


def _twice(candidates: Iterable[str], most: int) -> list[str]:
    """Ask three, then the same three again, so that even a short history holds them."""
    chosen = list(candidates)[: most // 2]
    return [each for start in range(0, len(chosen), 3) for each in chosen[start : start + 3] * 2]


def _predicted(rules: Iterable[PasswordRule], candidate: str, names: AccountNames) -> bool | None:
    verdicts = [verdict.holds for verdict in check(rules, candidate, names)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _is_taken(adapter: Adapter, account: Subject, candidate: str) -> bool:
    try:
        adapter.set_password(account, candidate)
    except PasswordRefused:
        return False
    return True


def _table(server: Asked, counts: dict[str, Count]) -> list[str]:
    whole = Count()
    for each in counts.values():
        whole = whole.plus(each)
    rows = [each.row("", str(rule)) for rule, each in counts.items()]
    return [whole.row(f"**{server.name}** {server.version}", "**all**"), *rows]


def main(names: list[str]) -> int:
    """Ask the named servers, or all; 1 when the goal is missed."""
    lines: list[str] = []
    is_reached = True
    for name in names or SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            # A server that runs as a user of its own has to get through.
            Path(folder).chmod(0o755)
            try:
                with SERVERS[name](Path(folder) / "server") as server:
                    counts = count(server, CANDIDATES)
                    lines += _table(server, counts)
            except OutcomeException as missing:
                print(f"{name}: {missing}", file=sys.stderr)
                lines.append(f"| {name} | not here | | | | | | |")
                continue
        for rule, found in counts.items():
            for candidate, is_taken in found.wrong:
                print(
                    f"{name} {rule}: {candidate!r} was {'taken' if is_taken else 'refused'}", file=sys.stderr
                )
        is_reached &= all(found.agreement >= GOAL for found in counts.values())
    page = INTRODUCTION + "\n".join(lines) + "\n"
    print(page)
    if not names:
        PAGE.write_text(page, encoding="utf-8")
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
