"""Files that can be read in one sitting, and names that say what is inside."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "core", "misc", "tools", "stuff"}


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in sorted(listed.stdout.splitlines()) if (ROOT / name).is_file()]


def by_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=by_path)
def test_a_file_has_at_most_350_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", sources(), ids=by_path)
def test_no_function_is_longer_than_40_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
            assert length <= 40, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", sources(), ids=by_path)
def test_a_name_says_what_is_inside(path: Path) -> None:
    assert not EMPTY_NAMES & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", [p for p in sources() if p.parent == ROOT / "stages"], ids=by_path)
def test_a_stage_is_read_in_one_breath(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 45


@pytest.mark.parametrize("path", [p for p in sources() if "tests" not in p.parts], ids=by_path)
def test_a_module_says_in_a_sentence_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", ",", ":"))


@pytest.mark.parametrize("path", [p for p in sources() if p.name.startswith("test_")], ids=by_path)
def test_the_name_of_a_test_is_a_sentence(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert node.name.count("_") >= 4, f"{node.name} is no sentence"
