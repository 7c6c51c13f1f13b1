"""How fast a split is counted and scored, against mmseg, torchmetrics and smp on the same tensors; and that all agree.

They live in an environment of their own (`bench.elsewhere`), in which our counting runs too: the same process, the same
torch, in turn. mmseg starts there without mmcv's compiled operators.

Hugging Face's `mean_iou` and torchvision's reference script are no part of any package: a test holds the first to its
documented example, and the second is only known as its source reads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.elsewhere import python_with
from bench.results import Row, publish

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "torchvision==0.29.2",
    "torchmetrics==1.9.0",
    "mmsegmentation==1.2.2",
    "mmcv-lite==2.1.0",
    "mmengine==0.10.7",
    "cityscapesscripts==2.3.0",
    "ftfy",
    "regex",
)
BOUNDS = {"mmseg's IoUMetric": ">= 100", "torchmetrics, validation off": ">= 20", "smp's get_stats": ">= 60"}


def measured() -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [str(python_with("metrics", PACKAGES)), "-m", "bench.metrics_elsewhere"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def rows(found: dict[str, Any]) -> list[Row]:
    rounds = found["rounds"]
    names = list(rounds[0])
    times = [Row(f"{name}: a split", float(np.median([each[name] for each in rounds])) * 1000, "ms") for name in names]
    ratios = [
        Row(
            f"segpipe against {name}",
            float(np.median([each[name] / each["segpipe"] for each in rounds])),
            "×",
            BOUNDS[name],
        )
        for name in BOUNDS
    ]
    same = [
        Row(f"{name}: counts that differ from ours", count, "", "< 1") for name, count in found["differing"].items()
    ]
    # mmseg rounds to hundredths of a percent; the others calculate in float32.
    scores = [
        Row(f"{name}: its mIoU from ours", apart * 1e6, "millionths", "< 51")
        for name, apart in found["apart"].items()
        if name != "segpipe"
    ]
    parity = [
        Row(f"parity table, {name}", apart * 1e6, "millionths", "< 1") for name, apart in found["conventions"].items()
    ]
    return [*times, *ratios, *same, *scores, *parity]


def main() -> int:
    return publish("metrics", rows(measured()))


if __name__ == "__main__":
    sys.exit(main())
