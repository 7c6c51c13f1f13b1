"""The workflow that comments the gate's table installs what the gate imports, and runs nobody else's actions."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/gate.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["gate"]["steps"]
BEHIND_PYDANTIC = {"annotated_types", "pydantic_core", "typing_extensions", "typing_inspection"}
BEHIND_PYTHON = {"_distutils_hack"}
"""What setuptools hangs into every start."""


def installed() -> set[str]:
    (command,) = [step["run"] for step in STEPS if "pip install" in step.get("run", "")]
    return set(re.split(r"\s+", command.split('versions.txt"')[-1].strip()))


def test_the_gate_imports_only_what_the_workflow_installs(tmp_path: Path) -> None:
    for name in ("segpipe", "stages", "reports"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "figures"))
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    program = (
        "import runpy, sys\nsys.argv = ['gate']\n"
        "try:\n    runpy.run_module('stages.gate', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "print(*{name.partition('.')[0] for name, module in sys.modules.items()\n"
        "        if 'site-packages' in str(getattr(module, '__file__', ''))})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "**The gate is " in (tmp_path / "reports/gate.md").read_text()
    imported = set(done.stdout.split())
    assert "numpy" in imported
    assert imported <= {package.partition(".")[0] for package in installed()} | BEHIND_PYDANTIC | BEHIND_PYTHON


def test_every_package_of_the_workflow_is_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for package in installed():
        assert re.search(rf"^{package.replace('.', '[.-]')}==", lock, re.MULTILINE), package


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_only_githubs_own_actions_run_and_only_the_gate_may_write(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(action.startswith("actions/") for action in used)
    writes = {scope for scope, right in workflow["permissions"].items() if right != "read"}
    assert writes == ({"pull-requests"} if path.name == "gate.yml" else set())


def test_a_table_of_another_time_is_never_commented() -> None:
    (gate,) = [step["run"] for step in STEPS if "stages.gate" in step.get("run", "")]
    assert gate.index("rm -f reports/gate.md") < gate.index("python -m stages.gate")
