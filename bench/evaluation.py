"""What evaluating costs beside the forward passes, what memory it takes, and a mask for an image of 10,000 x 10,000.

The stage is the whole of `python -m stages.evaluate`: Python's start, every count and every file. The forward passes
are those of the same model over the same batches, in a process of their own, where nothing but they is timed.
"""

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
from segpipe import artifacts, params
from segpipe.params.reading import read_yaml
from segpipe.preparation import manifest, statistics, weights

ROOT = Path(__file__).parents[1]
NAME, ENCODER = "unet_drone_5", "resnet34_imagenet"
SIZE, IMAGES, ROUNDS = (384, 512), 300, 3
SMALL, FEW, MANY = (64, 64), 50, 5000
SIDE = 10_000

FORWARD = """
import sys, time, torch
from segpipe.evaluation.scoring import Scoring
work = Scoring(sys.argv[1])
seconds = 0.0
from segpipe.loading import in_order
with torch.inference_mode():
    for number, batch in enumerate(in_order(work.samples, work.settings.batch)):
        began = time.perf_counter()
        with work.here.autocast():
            work.model(batch.images.to(work.here.device))
        if work.here.device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - began
print(seconds)
"""

COUNTING = """
import sys, time
import numpy as np
from segpipe.confusion import confusion_matrix
from segpipe.evaluation.scoring import Scoring
from segpipe.metrics import overlap
work = Scoring(sys.argv[1])
classes = len(work.labels.classes)
pairs = [work.samples[i][1] for i in range(len(work.samples))]
total = np.zeros((classes, classes), np.int64)
began = time.perf_counter()
for number, truth in enumerate(pairs):
    total += confusion_matrix(truth, np.minimum(pairs[number - 1], classes - 1), classes)
overlap.overall(total), overlap.table(total, work.labels.class_names)
print(time.perf_counter() - began)
"""

WATCHED = """
import sys, threading, time
from pathlib import Path
def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
most = [0.0]
def watch():
    while True:
        most[0] = max(most[0], own())
        time.sleep(0.01)
"""

EVALUATED = (
    WATCHED
    + """
from segpipe.evaluation.scoring import evaluate
threading.Thread(target=watch, daemon=True).start()
evaluate(sys.argv[1])
print(most[0])
"""
)

LARGE = (
    WATCHED
    + """
import numpy as np
from segpipe.evaluation.scoring import Scoring
from segpipe.inference.predict import predict
from segpipe.params.schema import Evaluation
side, work = int(sys.argv[2]), Scoring(sys.argv[1])
image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
how = Evaluation(window=(512, 512), overlap=0.25) if sys.argv[3] == "window" else Evaluation()
before = own()
threading.Thread(target=watch, daemon=True).start()
began = time.perf_counter()
mask = predict(work.model, image, work.samples.size, "area", how)
assert mask.shape == (side, side)
print(most[0] - before, time.perf_counter() - began)
"""
)


def write_params(size: tuple[int, int], decoder: list[int]) -> None:
    """One experiment of the repository's own, at this size."""
    content = read_yaml(ROOT / "params.yaml")
    experiment = {key: value for key, value in content["experiments"][NAME].items() if key != "demo"}
    experiment |= {"epochs": 1, "batch": 4, "recipe": "none"}
    experiment["model"] = {"name": "unet", "decoder_channels": decoder}
    content["experiments"], content["combined"] = {NAME: experiment}, {}
    kept = {"prepared": experiment["prepared"], "augmented": experiment["augmented"], "weights": experiment["weights"]}
    for kind, name in kept.items():
        content[kind] = {name: {key: value for key, value in content[kind][name].items() if key != "demo"}}
    content["prepared"][experiment["prepared"]]["size"] = list(size)
    content["augmented"][experiment["augmented"]]["copies"] = 0
    content["weights"] = {ENCODER: {"library": "smp", "encoder": "resnet34", "source": {"kind": "random"}}}
    content["gates"] = {}
    Path("params.yaml").write_text(json.dumps(content))


def scene(size: tuple[int, int], classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of many sizes, each of its class's grey, under noise."""
    rng, mask = np.random.default_rng(seed), np.zeros(size, np.uint8)
    for _ in range(25):
        (y, x), (height, width) = rng.integers(0, size), rng.integers(3, max(4, size[0] // 2), 2)
        mask[y : y + height, x : x + width] = rng.integers(0, classes)
    noise = rng.integers(0, 60, (*size, 3))
    return (mask[..., None] * (190 // classes) + noise).astype(np.uint8), mask


def pack(folder: Path, splits: dict[str, int], size: tuple[int, int], facts: dict[str, Any]) -> None:
    """A packed set as docs/files.md has it."""
    folder.mkdir(parents=True)
    names = [label["name"] for label in facts["labels"]["classes"]]
    rows: list[dict[str, Any]] = []
    counted, files = [], []
    for split, count in splits.items():
        for shard in manifest.shards(split, count, size):
            images, masks = shard.create(folder, size)
            for row in range(shard.count):
                images[row], masks[row] = scene(size, len(names), len(rows))
                counted.append(statistics.class_pixels(masks[row], len(names)))
                rows.append({"split": split, "index": row, "name": f"{split}-{len(rows)}", "group": row})
            files.append(shard)
    artifacts.write_rows(folder / "samples.csv", rows, ["split", "index", "name", "group"])
    table = statistics.write_class_pixels(folder, counted, len(names))
    statistics.write_statistics(folder, names, table[[row["split"] == "train" for row in rows]])
    manifest.write_manifest(folder, {"dataset": "drone", "fabricated": True, "size": list(size), **facts}, files)


def project(size: tuple[int, int], images: int, decoder: list[int]) -> None:
    """A trained experiment in a folder of its own, with so many images to be scored."""
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    os.chdir(folder)
    subprocess.run(["git", "init", "-q"], check=True)
    commit = [
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@localhost",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "Start",
    ]
    subprocess.run(["git", *commit], check=True)
    write_params(size, decoder)
    settings = params.experiment(NAME)
    prepared = params.prepared(settings.prepared)
    facts = {"name": settings.prepared, "view": prepared.view, "labels": prepared.labels}
    pack(artifacts.prepared(settings.prepared), {"train": 8, "val": 16, "test": images}, size, facts)
    content = artifacts.read_json(artifacts.prepared(settings.prepared) / "manifest.json")["content"]
    parent = {"parent": {"name": settings.prepared, "content": content}}
    pack(artifacts.augmented(settings.augmented), {"train": 1}, size, {**facts, **parent})
    weights.fetch(ENCODER, params.weights(ENCODER))
    run("-m", "stages.train", NAME)


def run(*arguments: str) -> list[float]:
    """A fresh Python in this folder; the numbers that it prints last, if any."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, env=environment)
    return [float(word) for word in done.stdout.split()]


def timed_stage() -> float:
    began = time.perf_counter()
    run("-m", "stages.evaluate", NAME)
    return time.perf_counter() - began


def speeds(size: tuple[int, int], images: int, rounds: int) -> list[Row]:
    project(size, images, [256, 128, 64, 32, 16])
    found = []
    for _ in range(rounds):
        (forward,), stage, (counting,) = run("-c", FORWARD, NAME), timed_stage(), run("-c", COUNTING, NAME)
        found.append((forward, stage, counting))
    forward, stage, counting = (float(np.median(column)) for column in zip(*found, strict=True))
    what = f"{images} images of {size[0]}x{size[1]}, U-Net on ResNet34"
    return [
        Row(f"{what}: forward passes alone", forward, "s"),
        Row(f"{what}: the whole stage", stage, "s"),
        Row("the stage against its forward passes", float(np.median([s / f for f, s, _ in found])), "×", "<= 1.25"),
        Row("confusion and metrics, of the stage", counting / stage * 100, "%", "<= 2"),
    ]


def memories(few: int, many: int) -> list[Row]:
    home, found = Path.cwd(), {}
    for images in (few, many):
        os.chdir(home)
        project(SMALL, images, [16, 8, 8, 8, 8])
        (found[images],) = run("-c", EVALUATED, NAME)
    return [
        *(Row(f"evaluating {images} images: memory of its own", most, "MiB") for images, most in found.items()),
        Row(f"memory of its own, {many} images against {few}", found[many] / found[few], "×", "< 1.1"),
    ]


def large(side: int) -> list[Row]:
    """In the small project that the memory was measured in: its network is a real one, and fast."""
    classes = len(params.prepared(params.experiment(NAME).prepared).labels["classes"])
    logits = side * side * classes * 4 / 2**20
    rows = []
    for how in ("window", "resized"):
        most, seconds = run("-c", LARGE, NAME, str(side), how)
        what = f"{side}x{side}, {how}"
        rows += [
            Row(f"{what}: time", seconds, "s"),
            Row(f"{what}: memory beyond the image, mask included", most, "MiB"),
            Row(f"{what}: the same, of what its logits would take", most / logits * 100, "%", "<= 40"),
        ]
    return rows


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        rows = speeds(SIZE, IMAGES, ROUNDS)
        os.chdir(scratch)
        rows += memories(FEW, MANY) + large(SIDE)
        os.chdir(ROOT)
    return publish("evaluation", rows)


if __name__ == "__main__":
    sys.exit(main())
