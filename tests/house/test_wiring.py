"""params.yaml and dvc.yaml agree with each other and with the code that they run."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from segpipe import params
from segpipe.params.reading import KINDS, WIRING
from tests.house.test_floors import imports

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

CHANGES_NO_RESULT = {"artifacts", "components", "lineage", "parallel", "params", "terminal", "tracking"}
"""Paths, params (which arrive resolved), what people see: changing these must not train anything again."""

PICKED_BY_NAME = {"datasets", "models", "losses"}


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_every_block_of_params_yaml_is_valid_in_both_profiles(profile: str) -> None:
    loaded = params.load(ROOT / "params.yaml", profile)
    assert all(getattr(loaded, kind) for kind in KINDS)


def test_dvc_yaml_resolves_into_one_stage_for_each_block() -> None:
    command = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    loaded = params.load(ROOT / "params.yaml")
    kinds = {"download": "datasets", "preprocess": "prepared", "train": "experiments", "combine": "combined"}
    for stage, kind in kinds.items():
        of_stage = {name for name in listed if name.startswith(f"{stage}@")}
        assert of_stage == {f"{stage}@{key}" for key in getattr(loaded, kind)}


def test_a_demo_block_may_change_everything_but_what_dvc_yaml_is_wired_by() -> None:
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for stage in STAGES.values():
        if "foreach" in stage:
            kind = stage["foreach"].strip("${}")
            used[kind] |= set(re.findall(r"\$\{item\.([\w.]+)\}", yaml.safe_dump(stage["do"])))
    assert used == {kind: set(fields) for kind, fields in WIRING.items()} | {"gates": set()}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_every_module_that_it_runs(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])
    watched = tuple(dep for dep in stage["deps"] if dep.startswith("segpipe"))
    door = re.fullmatch(r"python -m stages\.(\w+)(?: \${key})?", stage["cmd"])
    assert door
    for module in modules_behind(ROOT / "stages" / f"{door[1]}.py"):
        room = module.relative_to(ROOT / "segpipe").parts[0].removesuffix(".py")
        place = str(module.relative_to(ROOT))
        is_covered = any(place == dep or place.startswith(f"{dep}/") for dep in watched)
        assert is_covered or room in CHANGES_NO_RESULT or module.name == "__init__.py", f"{name} runs {place}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_no_module_that_is_not_there(name: str) -> None:
    for dep in STAGES[name].get("do", STAGES[name])["deps"]:
        if dep.startswith("segpipe") and "$" not in dep:
            assert (ROOT / dep).exists(), dep


def modules_behind(entry: Path) -> set[Path]:
    """Every file of segpipe that running `entry` may import, but for components, which are picked by name."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        for module in files_imported_by(waiting.pop()) - found:
            found.add(module)
            if module.relative_to(ROOT / "segpipe").parts[0].removesuffix(".py") not in CHANGES_NO_RESULT:
                waiting.append(module)
    return found


@cache
def files_imported_by(path: Path) -> set[Path]:
    candidates = set()
    for name in imports(path):
        if name.startswith("segpipe.") and name.split(".")[1] not in PICKED_BY_NAME:
            as_module = ROOT / Path(*name.split("."))
            for file in (as_module.with_suffix(".py"), as_module / "__init__.py", as_module.parent.with_suffix(".py")):
                candidates.add(file)
    return {file for file in candidates if file.is_file() and file.is_relative_to(ROOT / "segpipe")}
