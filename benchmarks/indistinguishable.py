"""Whether the time of an answer tells what a typed name is (S4, S27): six sorts of names, one gateway."""

import random
from pathlib import Path

from benchmarks.harness import Service
from benchmarks.small_organisation import SORTS
from benchmarks.stranger import STEPS, Stranger
from benchmarks.table import Result, Target
from benchmarks.two_samples import Comparison, compare
from benchmarks.whole_gateway import limits_forgotten, whole_gateway
from gateway.settings import Settings

ROUNDS = 1000
MARGIN = 0.05
MEDIANS = 0.0003
LEAK = 0.001
PLANTED = "planted leak"
KNOWN = "known"


def run(folder: Path, rounds: int = ROUNDS) -> Result:
    """Walk with every sort of name in random order, and compare each with the known one."""
    with whole_gateway(folder) as (gateway, settings):
        taken = _measure(gateway, settings, rounds)
    compared = {
        (sort, step): compare(taken[KNOWN, step], taken[sort, step])
        for sort in (*SORTS, PLANTED)
        for step in STEPS
        if sort != KNOWN
    }
    return _result(compared, rounds)


def _measure(gateway: Service, settings: Settings, rounds: int) -> dict[tuple[str, str], list[float]]:
    stranger, order = Stranger(gateway.port), random.Random(0)
    # The leak is planted on the known name itself: only its time differs.
    names = {**SORTS, PLANTED: SORTS[KNOWN]}
    taken: dict[tuple[str, str], list[float]] = {(sort, step): [] for sort in names for step in STEPS}
    with limits_forgotten(settings) as forget:
        for number in range(rounds + rounds // 20):
            for sort in order.sample(sorted(names), len(names)):
                forget()
                walked = stranger.walk(names[sort], more_seconds=LEAK if sort == PLANTED else 0)
                # The first ones are cold.
                for step, seconds in walked.items() if number >= rounds // 20 else ():
                    taken[sort, step].append(seconds)
    return taken


def _result(compared: dict[tuple[str, str], Comparison], rounds: int) -> Result:
    real = [each for (sort, _), each in compared.items() if sort != PLANTED]
    planted = [each for (sort, _), each in compared.items() if sort == PLANTED]
    furthest = max(max(abs(each.low - 0.5), abs(each.high - 0.5)) for each in real)
    medians = max(abs(each.medians) for each in real)
    return Result(
        title="Six sorts of names, told apart by time",
        method=(
            "A stranger types a name (`start`), asks for a code (`send`) and answers wrongly (`answer`), "
            f"over one HTTP connection; {rounds:,} walks with each sort, in random order, each compared with "
            "a registered person's name. `AUC`: how often the known name is answered sooner (Mann-Whitney), "
            "with its 95 % interval; `KS`: the largest distance of the distributions, and how likely one so "
            "large is. "
            f"`{PLANTED}` is the known name again with {LEAK * 1000:.0f} ms more. Limits are forgotten "
            "between walks, mail leaves to a server that takes everything. Run it on a quiet machine: noise "
            "hides leaks, and the planted one tells."
        ),
        columns=("sort", "step", "AUC", "95 %", "KS", "p of KS", "medians ms"),
        rows=[_row(sort, step, each) for (sort, step), each in compared.items()],
        targets=[
            Target(f"every interval within 0.5 ± {MARGIN}", f"{furthest:.3f} at most", furthest <= MARGIN),
            Target(
                f"medians differ by less than {MEDIANS * 1000} ms",
                f"{medians * 1000:.3f} ms at most",
                medians < MEDIANS,
            ),
            Target(
                "a planted leak of 1 ms is found at every step",
                f"AUC {min(each.auc for each in planted):.3f} at least",
                all(each.low > 0.5 + MARGIN for each in planted),
            ),
        ],
    )


def _row(sort: str, step: str, each: Comparison) -> tuple[str, ...]:
    return (
        sort,
        step,
        f"{each.auc:.3f}",
        f"{each.low:.3f} to {each.high:.3f}",
        f"{each.distance:.3f}",
        f"{each.p_of_distance:.2g}",
        f"{each.medians * 1000:+.3f}",
    )
