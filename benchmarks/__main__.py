"""`python -m benchmarks [ROW…]`: measure, print, and write `docs/benchmarks.md` when every row was run."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    agent,
    data_plane,
    envoy_plane,
    forward_auth,
    gate,
    hashing,
    indistinguishable,
    keycloak_sign_in,
    machine,
    reset_journey,
    sign_in_mix,
    slow_provider,
)
from benchmarks.harness import Unfit
from benchmarks.table import Result

PAGE = Path("docs/benchmarks.md")

ROWS: dict[str, Callable[[Path], Result]] = {
    "mix": sign_in_mix.run,
    "data_plane": data_plane.run,
    "envoy_plane": envoy_plane.run,
    "forward_auth": forward_auth.run,
    "slow": slow_provider.run,
    "keycloak": keycloak_sign_in.run,
    "gate": gate.run,
    "hashing": hashing.run,
    "names": indistinguishable.run,
    "reset": reset_journey.run,
    "agent": agent.run,
}

INTRODUCTION = """\
# Benchmarks

<!-- Written by `make bench`. -->

What Sparekey costs, as ratios: absolute figures are those of one machine. The system under test runs on one
core; the load and whatever stands behind it on the other. The measure is **CPU time per request of the whole
process tree** (for Sparekey with its Valkey), which hardly moves when a machine is noisy. Every comparison is
one interleaved run, medians over its rounds. Sparekey runs as shipped, `sparekey serve` with one set of
settings for every row, and a round counts only if its log lines and its metrics agree with each other and
with the requests sent.

"""


def main(names: list[str]) -> int:
    """Run the named rows, or all; 1 when a figure cannot be believed."""
    unknown = set(names) - set(ROWS)
    if unknown:
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    sections = []
    for name in names or ROWS:
        print(f"measuring: {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="sparekey-bench-") as folder:
            try:
                result = ROWS[name](Path(folder) / "row")
            except Unfit as unfit:
                print(f"{name}: not to be believed: {unfit}", file=sys.stderr)
                return 1
        sections.append(result.markdown())
        print(sections[-1])
    if not names:
        PAGE.write_text(f"{INTRODUCTION}## The machine\n\n{machine.describe()}\n\n" + "\n".join(sections))
        print(f"wrote {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
