"""DVC never skips the registration: going back to an earlier model moves the alias back too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from segpipe import artifacts, params
from tests.unit.promotion.promoting import aliases, report, train_another
from tests.unit.training.tiny_project import NAME, ROOT

pytestmark = pytest.mark.slow


def repro() -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "."}
    command = [sys.executable, "-m", "dvc", "repro", "register"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def become_a_pipeline() -> None:
    """The two stages of the project's own dvc.yaml, over a copy of the code that they depend on."""
    for folder in ("segpipe", "stages"):
        shutil.copytree(ROOT / folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {name: stages[name] for name in ("gate", "register")}}))
    shutil.copyfile(ROOT / ".dvcignore", ".dvcignore")
    artifacts.write_text(artifacts.COMPARISON, "experiment\n")
    artifacts.audit("any").mkdir(parents=True)  # which the model card looks into
    params.gates()  # writes data/resolved
    for command in (["init", "-q"], ["config", "core.analytics", "false"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True, capture_output=True)


def kept(folder: Path) -> None:
    for path in (artifacts.checkpoint(NAME), artifacts.evaluation(NAME)):
        shutil.copytree(path, folder / path)


def restored(folder: Path) -> None:
    """What DVC restores from its cache when a setting goes back: checkpoint, evaluation and report, byte for byte."""
    for path in (artifacts.checkpoint(NAME), artifacts.evaluation(NAME)):
        shutil.rmtree(path)
        shutil.copytree(folder / path, path)
    report()


def test_from_a_to_b_and_back_to_a_the_champion_is_a_again(evaluated: Path, tmp_path: Path) -> None:
    become_a_pipeline()
    report()
    kept(tmp_path / "a")
    repro()
    assert aliases() == {"champion": "1", "challenger": "1"}
    train_another()
    repro()
    assert aliases() == {"champion": "2", "challenger": "2"}
    restored(tmp_path / "a")
    assert "Running stage 'register'" in repro()
    assert aliases() == {"champion": "1", "challenger": "1"}
    assert "Running stage" not in repro(), "nothing has changed"
