"""How long the gate takes from a cold start: floors alone, and with the bootstrap over 500 images of 20 classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.results import Row, publish

ROOT = Path(__file__).parents[1]
IMAGES, CLASSES, REPEATS = 500, 20, 5
GATE = {"experiment": "ours", "floors": {"miou": 0.5, "per_class.*.iou": 0.4}}


def counts(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union of every image and class, in pixels."""
    rng = np.random.default_rng(seed)
    union = rng.integers(1, 20_000, (IMAGES, CLASSES))
    return (union * rng.uniform(0.6, 0.9, union.shape)).astype(int), union


def write_evidence(folder: Path) -> None:
    """A resolved gate, and what `report` leaves of the experiment that it names."""
    (folder / "data/resolved/gates").mkdir(parents=True)
    (folder / "data/resolved/gates/model.json").write_text(json.dumps(GATE))
    hits, union = counts(0)
    names = [f"class_{c}" for c in range(CLASSES)]
    iou = (hits.sum(0) / union.sum(0)).tolist()
    metrics = {"experiment": "ours", "data": "d", "images": IMAGES, "miou": float(np.mean(iou))}
    metrics["per_class"] = {name: {"iou": value} for name, value in zip(names, iou, strict=True)}
    (folder / "reports/ours").mkdir(parents=True)
    (folder / "reports/ours/metrics.json").write_text(json.dumps(metrics))
    lines = [
        f"{i},{name},{hits[i, c]},{union[i, c]},{union[i, c]}" for i in range(IMAGES) for c, name in enumerate(names)
    ]
    header = "image,class,intersection,union,truth"
    (folder / "reports/ours/image_counts.csv").write_text("\n".join([header, *lines]) + "\n")


def write_champion(folder: Path) -> None:
    hits, union = counts(1)
    of_images = {str(i): {"intersection": hits[i].tolist(), "union": union[i].tolist()} for i in range(IMAGES)}
    champion: dict[str, Any] = {"experiment": "theirs", "version": "1", "data": "d", "counts": of_images}
    (folder / "reports/champion.json").write_text(json.dumps({"model": champion}))


def seconds(folder: Path) -> float:
    """The median of several runs of the stage, as DVC calls it; the gate must be open in each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_STAGE": "gate"}
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        command = [sys.executable, "-m", "stages.gate"]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_evidence(folder)
        floors = seconds(folder)
        write_champion(folder)
        size = f"{IMAGES} images, {CLASSES} classes"
        rows = [
            Row(f"floors, {size}", floors, "s", "< 0.5"),
            Row(f"floors and the paired bootstrap, {size}", seconds(folder), "s", "< 2"),
        ]
    return publish("gate", rows)


if __name__ == "__main__":
    sys.exit(main())
