"""What is written down is true, and complete."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import settings
from gateway.cli import settings_pages

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@pytest.mark.parametrize("page", settings_pages.pages(), ids=str)
def test_a_generated_page_is_current(page: Path) -> None:
    assert (ROOT / page).read_text("utf-8") == settings_pages.pages()[page]


def test_every_setting_says_what_it_is_for() -> None:
    silent = [
        f"{section.heading} {name}"
        for section in settings_pages.sections()
        for name, field in section.settings()
        if not field.description
    ]
    assert silent == []


def test_the_example_is_a_settings_file_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = settings.load(ROOT / settings_pages.EXAMPLE)
    assert loaded.gateway.public == "https://sso.example.org"


def test_the_example_shows_every_setting() -> None:
    text = (ROOT / settings_pages.EXAMPLE).read_text("utf-8")
    shown = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE))
    declared = {name for section in settings_pages.sections() for name, _ in section.settings()}
    assert shown == declared


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _shell_lines() -> list[str]:
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    return [line.removeprefix("$ ").split("#")[0].strip() for block in blocks for line in block.splitlines()]


def test_every_make_target_in_the_readme_exists() -> None:
    named = set(re.findall(r"(?:^|`)(?:[A-Z]+=\S+ )*make ([a-z]+)", README.read_text("utf-8"), re.MULTILINE))
    assert named
    assert named <= _targets()


def test_every_command_in_the_readme_exists() -> None:
    program = Path(sys.executable).with_name("sparekey")
    named = {line.split()[1] for line in _shell_lines() if line.startswith("sparekey ")}
    named |= set(re.findall(r"`sparekey ([a-z-]+)", README.read_text("utf-8")))
    for command in sorted(named):
        asked = subprocess.run([program, command, "--help"], capture_output=True, text=True, check=False)
        assert asked.returncode == 0, f"sparekey {command}: {asked.stderr}"


def _classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]


ERROR_MODULES = sorted(
    path
    for package in ("enforcement", "flows", "idp_plugin", "store")
    for path in (ROOT / package).glob("errors.py")
)


@pytest.mark.parametrize("module", ERROR_MODULES, ids=lambda path: path.parent.name)
def test_every_error_is_explained_and_drawn_in_the_tree(module: Path) -> None:
    drawn = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    classes = [node for node in _classes(module) if not any("Enum" in ast.unparse(b) for b in node.bases)]
    assert [node.name for node in classes if not ast.get_docstring(node)] == []
    assert [node.name for node in classes if not re.search(rf"\b{node.name}\b", drawn)] == []


def _members(path: Path, name: str) -> list[tuple[str, bool]]:
    (enum,) = [node for node in _classes(path) if node.name == name]
    pairs = zip(enum.body, [*enum.body[1:], None], strict=True)
    return [(ast.unparse(node), _is_text(after)) for node, after in pairs if isinstance(node, ast.Assign)]


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_every_audit_action_is_explained() -> None:
    members = _members(ROOT / "store/audit.py", "AuditAction")
    assert members
    assert [member for member, is_explained in members if not is_explained] == []


def test_every_link_in_the_documents_leads_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")]
    broken = [
        f"{document.relative_to(ROOT)} → {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8"))
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert broken == []
