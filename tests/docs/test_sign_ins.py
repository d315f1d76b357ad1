"""Every row of `docs/sign-ins.md` names tests that exist, and every kind of the matrix stands on the page."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.journeys.test_oidc_matrix import ROWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sign-ins.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"([\w./-]+\.py)::(\w+)", PAGE)))
BRACKETS = re.compile(r"test_it_is_held_and_released_with_what_was_asked_for` \[([^\]]*)\]")


@cache
def _tests(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in _tests(path)


def test_every_row_names_a_test() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("| --- ")]
    heads = ("| remedy |", "| *", "| sign-in |", "| grant |", "| what |", "| situation |")
    rows = [line for line in lines if not line.startswith(heads)]
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::test_\w+`", row)] == []


def test_every_kind_of_the_matrix_stands_on_the_page_and_no_other() -> None:
    named = {name.strip() for names in BRACKETS.findall(PAGE) for name in names.split(",")}
    assert named == {row.name for row in ROWS}
