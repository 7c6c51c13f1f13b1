"""Commands explain themselves without loading anything, and end with a sentence where they cannot go on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]
COMMANDS = ("export", "predict", "rescore", "rollback", "verify")


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return subprocess.run(
        [sys.executable, "-m", "segpipe", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )


def test_the_list_of_commands_says_what_each_is_for() -> None:
    said = run("--help").stdout
    for command in COMMANDS:
        assert f"    {command} " in said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_without_importing_what_the_command_runs(command: str) -> None:
    program = (
        f"import runpy, sys\nsys.argv = ['segpipe', '{command}', '--help']\n"
        "try:\n    runpy.run_module('segpipe', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"usage: python -m segpipe {command}" in done.stdout
    assert not {"torch", "mlflow", "numpy", "pydantic", "PIL"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "anything", "nowhere", "--to", "out"], "nowhere is not there"),
        (["predict", "anything", ".", "--to", "out"], "holds no image"),
    ],
)
def test_what_is_not_there_is_said_before_a_model_is_loaded(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_model_that_nobody_knows_is_said_with_what_there_is(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "data/checkpoints/unet").mkdir(parents=True)
    for model, said in (("unett", "did you mean 'unet'?"), ("houses@champion", "has no houses@champion")):
        done = run("predict", model, "a.png", "--to", "out", folder=tmp_path)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
