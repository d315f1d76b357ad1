"""`python -m benchmarks [ROW…]`: measure, print, and write what was found into `docs/benchmarks.md`."""

import datetime as dt
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
from benchmarks.page import replace
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


def main(names: list[str]) -> int:
    """Run the named rows, or all; 1 when a figure cannot be believed."""
    unknown = set(names) - set(ROWS)
    if unknown:
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    for name in names or ROWS:
        print(f"measuring: {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="sparekey-bench-") as folder:
            try:
                result = ROWS[name](Path(folder) / "row")
            except Unfit as unfit:
                print(f"{name}: not to be believed: {unfit}", file=sys.stderr)
                return 1
        print(result.markdown())
        today = dt.datetime.now(dt.UTC).date()
        replace(PAGE, name, result.markdown(), machine=machine.describe(), order=ROWS, day=today)
        print(f"wrote {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
