"""A project small enough to train in seconds: packed images of 32x32, a random encoder, a repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe import artifacts, params, tracking
from segpipe.params.reading import read_yaml
from segpipe.preparation import manifest, statistics, weights

ROOT = Path(__file__).parents[3]
NAME = "unet_drone_binary"
SIZE = (32, 32)
SPLITS = {"train": 8, "val": 4, "test": 4}
ENVIRONMENT = ("DVC_ROOT", "DVC_STAGE", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "SEGPIPE_DEVICE", "SEGPIPE_PRECISION")


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc (class 1) on a dark, noisy ground (class 0), under two rows that are ignored."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    center, radius = rng.uniform(8, 24, 2), rng.uniform(5, 10)
    mask = ((y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2).astype(np.uint8)
    image = rng.integers(0, 60, (*SIZE, 3)) + 170 * mask[..., None]
    mask[:2] = 255
    return image.astype(np.uint8), mask


def pack(folder: Path, splits: dict[str, int], facts: dict[str, Any], seed: int = 0) -> None:
    """A packed set as docs/files.md describes it."""
    folder.mkdir(parents=True)
    classes = [label["name"] for label in facts["labels"]["classes"]]
    rows: list[dict[str, Any]] = []
    counted, files = [], []
    for split, count in splits.items():
        for shard in manifest.shards(split, count, SIZE):
            images, masks = shard.create(folder, SIZE)
            for row in range(count):
                images[row], masks[row] = scene(seed + len(rows))
                counted.append(statistics.class_pixels(masks[row], len(classes)))
                rows.append({"split": split, "index": row, "name": f"{facts['name']}-{split}-{row}", "group": row})
            files.append(shard)
    artifacts.write_rows(folder / "samples.csv", rows, ["split", "index", "name", "group"])
    table = statistics.write_class_pixels(folder, counted, len(classes))
    if "parent" not in facts:
        statistics.write_statistics(folder, classes, table[[row["split"] == "train" for row in rows]])
    manifest.write_manifest(folder, {"dataset": "drone", "fabricated": True, "size": list(SIZE), **facts}, files)


def write_params(**changes: Any) -> None:
    """params.yaml with one small experiment, made from the repository's own; `changes` are laid over the experiment."""
    content = read_yaml(ROOT / "params.yaml")
    experiment = {key: value for key, value in content["experiments"][NAME].items() if key != "demo"}
    experiment |= {"model": {"name": "unet", "frozen": True, "decoder_channels": [16, 8, 8, 8, 8]}}
    experiment |= {"epochs": 3, "batch": 4, "recipe": "flips", **changes}
    content["experiments"] = {NAME: experiment}
    content["prepared"] = {
        experiment["prepared"]: content["prepared"][experiment["prepared"]] | {"size": list(SIZE), "demo": {}}
    }
    content["augmented"] = {experiment["augmented"]: content["augmented"][experiment["augmented"]]}
    library = {"library": "smp", "encoder": "resnet18", "source": {"kind": "random"}}
    content["weights"] = {experiment["weights"]: library}
    content["combined"] = {}
    content["hardware"] = {"device": "cpu", "precision": "fp32"}
    content["gates"] = {"tiny": {"experiment": NAME, "floors": {"miou": 0.0}}}
    Path("params.yaml").write_text(json.dumps(content))


def build(encoder: str = "resnet18", splits: dict[str, int] = SPLITS, **changes: Any) -> None:
    """The whole project in the working directory, ready to train."""
    Path(".gitignore").write_text("/data/\n/.segpipe/\n/mlflow.db\n/mlartifacts/\n")
    write_params(**changes)
    settings = params.experiment(NAME)
    labels = params.prepared(settings.prepared).labels
    view = params.prepared(settings.prepared).view
    facts = {"view": view, "labels": labels}
    pack(artifacts.prepared(settings.prepared), splits, {"name": "tiny", **facts})
    content = artifacts.read_json(artifacts.prepared(settings.prepared) / "manifest.json")["content"]
    made_from = {"parent": {"name": settings.prepared, "content": content}}
    pack(artifacts.augmented(settings.augmented), {"train": 4}, {"name": "copies", **facts, **made_from}, seed=100)
    assert isinstance(settings, params.Experiment)
    weights.fetch(settings.weights, params.weights(settings.weights).model_copy(update={"encoder": encoder}))
    git = ["git", "-c", "user.name=segpipe", "-c", "user.email=segpipe@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *command], check=True, capture_output=True)


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in this folder, with a tracking client of its own and nothing of the developer's environment."""
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    tracking._client.cache_clear()
    return folder


def copy(template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the test's own, as the template stands."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return enter(folder, monkeypatch)


def python(*arguments: str) -> subprocess.Popen[str]:
    """The same Python on the working directory, with segpipe importable and one thread."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *arguments], env=environment, stderr=subprocess.PIPE, text=True)


def trainer() -> subprocess.Popen[str]:
    return python("-m", "stages.train", NAME)


def outputs() -> dict[str, bytes]:
    """The files of a training that may not differ from one run to the next."""
    folder = artifacts.checkpoint(NAME)
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "history.csv")}
