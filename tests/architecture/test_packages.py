"""The shape of the tree: what the import rules and the linters do not see."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("enforcement", "flows", "gateway", "idp_plugin", "store")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 500
FORBIDDEN_WORDS = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "manager",
    "data",
    "handle",
    "handler",
    "misc",
}


def _named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [program, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_no_module_is_too_long_to_read() -> None:
    assert _named([path for path in MODULES if len(path.read_text().splitlines()) > LONGEST]) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert _named([path for path in MODULES if FORBIDDEN_WORDS & set(re.split(r"\W|_", path.stem))]) == []


def test_no_module_borrows_a_name_of_the_standard_library() -> None:
    assert _named([path for path in MODULES if path.stem in sys.stdlib_module_names]) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_its_purpose_and_what_it_may_import(package: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))
    assert docstring
    assert "import" in docstring.lower()


def _statements(path: Path) -> Iterator[ast.stmt]:
    docstring, *rest = [*ast.parse(path.read_text()).body, None]
    yield from (node for node in [docstring, *rest] if node and not _is_docstring(node))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_no_package_file_holds_logic() -> None:
    package_files = [path for path in MODULES if path.name == "__init__.py"]
    assert _named([path for path in package_files if any(_statements(path))]) == []


def test_nothing_else_that_is_installed_supplies_our_packages() -> None:
    owners = importlib.metadata.packages_distributions()
    suppliers = {owner for package in PACKAGES for owner in owners.get(package, [])}
    assert suppliers <= {"sparekey"}


def test_no_empty_folder_pretends_to_be_a_package() -> None:
    # Alembic loads its migrations by their paths.
    folders = {path.parent for path in MODULES} - {ROOT / "store/migrations/versions"}
    assert _named([folder for folder in sorted(folders) if not (folder / "__init__.py").exists()]) == []


def test_tests_are_no_package() -> None:
    assert _named([*(ROOT / "tests").rglob("__init__.py")]) == []


# Security: a lock that names a registry, or takes a file without its hash, is a way in.
@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_a_lock_names_no_registry_and_pins_every_file(lock: Path) -> None:
    text = lock.read_text()
    assert (
        re.findall(r"https?://|--index-url|--find-links|--trusted-host|file://|^/", text, re.MULTILINE) == []
    )
    pinned = re.findall(r"^\w[\w.-]*==", text, re.MULTILINE)
    with_hash = re.findall(r"^\w[\w.-]*==[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert pinned
    assert len(with_hash) == len(pinned)
