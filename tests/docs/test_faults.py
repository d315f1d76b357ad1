"""Every row of `docs/faults.md` names tests that exist, and counts by metrics that the code has."""

import re
from pathlib import Path

import pytest

from gateway.interception.sign_in_metrics import Outcome
from tests.docs.test_threat_model import _tests

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"([\w./-]+\.py)::(\w+)", PAGE)))
METRICS = sorted(set(re.findall(r"\bsparekey_\w+", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in _tests(path)


def test_every_row_says_what_happens_what_is_counted_and_what_shows_it() -> None:
    tables = PAGE.partition("\n## ")[2]
    lines = [line for line in tables.splitlines() if line.startswith("| ")]
    rows = [line.strip("| ").split(" | ") for line in lines if not line.startswith(("| what |", "| ---"))]
    shown = re.compile(r"`tests/[\w/]+\.py::test_\w+`(<br>`tests/[\w/]+\.py::test_\w+`)*")
    assert [row for row in rows if len(row) != 4 or not all(row) or not shown.fullmatch(row[3])] == []
    assert len(rows) >= 20


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_that_is_named_is_counted(metric: str) -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    assert f'"{metric}"' in source


def test_outcomes_that_are_named_exist() -> None:
    assert set(re.findall(r'outcome="(\w+)"', PAGE)) <= {outcome.value for outcome in Outcome}
