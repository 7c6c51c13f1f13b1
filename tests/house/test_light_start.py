"""Light stages start light: what a stage does not use, it does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "mlflow", "timm", "segmentation_models_pytorch", "albumentations", "kaggle"}
LIGHT = {
    "download": "from segpipe import acquisition, params",
    "audit": "import segpipe.preparation.audit",
    "preprocess": "import segpipe.preparation.packing",
    "gate": "import segpipe.promotion.gate",
    "report": "import segpipe.reporting",
    "resolve": "from segpipe import params; params.resolve(params.load())",
    "the package": "import segpipe",
    "the command line": "import segpipe.__main__",
}


@pytest.mark.parametrize("statement", LIGHT.values(), ids=LIGHT.keys())
def test_a_light_stage_pulls_in_no_heavy_library(statement: str) -> None:
    program = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py")))
def test_help_is_shown_without_importing_what_the_stage_runs(stage: str) -> None:
    program = f"""
import runpy, sys
sys.argv = ["{stage}", "--help"]
try:
    runpy.run_module("stages.{stage}", run_name="__main__")
except SystemExit as end:
    assert end.code == 0
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "usage: python -m" in done.stdout or "usage:" in done.stdout
    assert not (HEAVY | {"pydantic", "numpy", "pandas", "matplotlib", "dvc"}) & loaded
