"""A whole epoch (input, steps, validation) of the trained models, as training runs it, against a plain PyTorch loop.

    python -m bench.training [--device cuda] [--size 256] [--images 32] [MODEL …]

The plain loop has the same model in float32 and channels first, a DataLoader that decodes in each epoch, and a metric
for each batch. What is judged against it is judged only on processors with bf16 units; what our loop adds to the bare
steps, and how long it waits for data, everywhere. With names or another size, the table is shown and not kept.

With `--device cuda`, every experiment's model at its documented size and batch: speed, waiting, work against the
card's own rate, and memory, with and without `compile`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from bench.models import CASES, Published
from bench.results import Row, publish, so_far
from bench.training_epoch import Case
from segpipe import params
from segpipe.devices import CPUINFO, has_bf16_units

ROOT = Path(__file__).parents[1]
ROUNDS = 5
SIZE, IMAGES, BATCH = 256, 32, 4
BOUNDS = {
    "dense_aspp, DenseNet-121": ">= 2.5",
    "unet, ResNet-50": ">= 2.5",
    "atrous_unet, ResNet-50": ">= 2.5",
    "segformer, MiT-B2": ">= 1.5",
}


def found(finding: str, case: Case, rounds: int, environment: dict[str, str]) -> Any:
    """What bench.training_epoch finds, in a process of its own."""
    command = [sys.executable, "-m", "bench.training_epoch", json.dumps([finding, rounds, asdict(case)])]
    given = {"GOMP_SPINCOUNT": "3000", **os.environ, "PYTHONPATH": str(ROOT), **environment}  # as the stages have it
    done = subprocess.run(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(label: str, published: Published, size: int, images: int, is_judged: bool) -> list[Row]:
    model = {"name": published.model, **published.options}
    case = Case(model, published.encoder, (size, size), BATCH, images)
    of = found("compared", case, ROUNDS, {"SEGPIPE_DEVICE": "cpu"})

    def middle(kind: str) -> float:
        return float(median(each[kind] for each in of["rounds"]))

    ratio = median(each["plain"] / each["ours"] for each in of["rounds"])
    return [
        Row(f"{label}: epoch, plain loop", middle("plain"), "s"),
        Row(f"{label}: epoch, ours", middle("ours"), "s"),
        Row(f"{label}: ours against the plain loop", ratio, "×", BOUNDS[label] if is_judged else ""),
        Row(f"{label}: forward, backward and step, bare", of["bare"], "s"),
        Row(f"{label}: what our loop adds to them", 100 * (of["step"] / of["bare"] - 1), "%", "< 3"),
        Row(f"{label}: waiting for data", 100 * middle("waiting_share"), "% of the training pass", "< 3"),
    ]


def on_device(device: str) -> list[Row]:
    """Every model of params.yaml as profile full describes it."""
    full = params.load(profile="full")
    seen: set[tuple[str, ...]] = set()
    rows: list[Row] = []
    for name, settings in full.experiments.items():
        size, encoder = full.prepared[settings.prepared].size, full.weights[settings.weights].encoder
        model = settings.model.model_dump()
        if (kind := (json.dumps(model, sort_keys=True), encoder, str(size), str(settings.batch))) in seen:
            continue
        seen.add(kind)
        recipe = settings.recipe if settings.recipe in ("none", "flips") else "s1"
        case = Case(model, encoder, size, settings.batch, images=max(64, 12 * settings.batch), recipe=recipe)
        for compiled in (False, True):
            label = f"{name}, {size[0]}x{size[1]}, batch {settings.batch}{', compiled' if compiled else ''}"
            rows += so_far(_device_rows(label, case, {"SEGPIPE_DEVICE": device, "SEGPIPE_COMPILE": str(compiled)}))
    return rows


def _device_rows(label: str, case: Case, environment: dict[str, str]) -> list[Row]:
    try:
        of = found("on_device", case, ROUNDS, environment)
    except subprocess.CalledProcessError as error:
        print(f"{label}: not measured (exit code {error.returncode})")
        return []
    return [
        Row(f"{label}: speed", of["images_per_second"], "images/s"),
        Row(f"{label}: waiting for data", 100 * of["waiting_share"], "% of the training pass", "< 3"),
        Row(f"{label}: work done", of["teraflops"], "TFLOP/s"),
        Row(f"{label}: of this card's rate in bf16", 100 * of["teraflops"] / of["matmul_teraflops"], "%"),
        Row(f"{label}: peak memory", of["peak_gib"], "GiB"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--images", type=int, default=IMAGES)
    asked = parser.parse_args()
    if asked.device != "cpu":
        return publish(f"training_{asked.device}", on_device(asked.device))
    has_units = has_bf16_units(CPUINFO.read_text()) if CPUINFO.is_file() else False
    rows = [Row("bf16 units in this processor", has_units, "yes" if has_units else "none: speed-ups are not judged")]
    for label in BOUNDS:
        if not asked.models or CASES[label].model in asked.models:
            rows += so_far(rows_of(label, CASES[label], asked.size, asked.images, has_units))
    if asked.models or (asked.size, asked.images) != (SIZE, IMAGES):
        return 0
    return publish("training", rows)


if __name__ == "__main__":
    sys.exit(main())
