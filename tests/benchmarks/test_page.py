import datetime as dt
from pathlib import Path

import pytest

from benchmarks.page import replace, sections

DAY = dt.date(2026, 11, 22)
ORDER = ("mix", "reset", "gate")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "benchmarks.md"


def test_a_row_measured_again_replaces_itself_and_nothing_else(path: Path) -> None:
    for name in ("gate", "mix"):
        replace(path, name, f"## {name}\n\nold\n", machine="the first machine", order=ORDER, day=DAY)
    kept = sections(path.read_text())["gate"]

    replace(
        path,
        "mix",
        "## mix\n\nnew\n",
        machine="the second machine",
        order=ORDER,
        day=DAY + dt.timedelta(days=1),
    )

    now = path.read_text()
    assert list(sections(now)) == ["mix", "gate"]
    assert sections(now)["gate"] == kept
    assert sections(now)["mix"] == "## mix\n\nnew\n\nMeasured on 2026-11-23.\n\n"
    assert "the second machine" in now
    assert "the first machine" not in now


def test_a_row_that_no_longer_exists_goes(path: Path) -> None:
    replace(path, "reset", "## reset\n", machine="the first machine", order=ORDER, day=DAY)

    replace(path, "mix", "## mix\n", machine="the first machine", order=("mix",), day=DAY)

    assert list(sections(path.read_text())) == ["mix"]
