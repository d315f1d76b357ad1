"""Every claim of the threat model names a test that exists, and every rule that is built has a claim."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
BUILT = {f"S{number}" for number in range(1, 26)}
"""At least in part; what is missing of each stands at the end of the page."""
NOT_BUILT = {"S26", "S27"}
NAMED = sorted(set(re.findall(r"([\w./-]+\.py)::(\w+)", PAGE)))


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in {"rule", "---"}]


@cache
def _tests(path: str) -> frozenset[str]:
    source = (ROOT / path).read_text("utf-8")
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(source)) if isinstance(node, functions))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert path.startswith("tests/")
    assert name.startswith("test_")
    assert (ROOT / path).is_file()
    assert name in _tests(path)


def test_every_row_says_everything() -> None:
    wrong = [row[:2] for row in _rows() if len(row) != 4 or not all(row)]
    assert wrong == []


def test_every_row_names_one_to_three_tests_and_nothing_else() -> None:
    test = r"`tests/[\w/]+\.py::test_\w+`"
    shape = re.compile(rf"{test}(<br>{test}){{0,2}}")
    assert [row[1] for row in _rows() if not shape.fullmatch(row[3])] == []


def test_every_rule_that_is_built_has_a_row_and_no_other_has_one() -> None:
    claimed = {rule for row in _rows() for rule in row[0].split(", ")} - {"none"}
    assert claimed == BUILT


def test_every_rule_that_is_not_built_is_said_to_be_missing() -> None:
    _, _, missing = PAGE.partition("## Known ways round, and what is not built yet")
    assert set(re.findall(r"\bS\d+\b", missing)) >= NOT_BUILT


def test_the_rules_are_complete() -> None:
    assert {f"S{number}" for number in range(1, 28)} == BUILT | NOT_BUILT
