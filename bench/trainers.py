"""An epoch of our loop against Lightning's Trainer and transformers' Trainer: the same model, data, precision, batch.

    python -m bench.trainers [--size 256] [--images 32]

Each library has an environment of its own (`bench.elsewhere`), in which ours runs too. The rounds are taken in turn.
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

from bench.elsewhere import python_with
from bench.models import CASES
from bench.results import Row, publish, so_far
from bench.training_epoch import Case

ROOT = Path(__file__).parents[1]
ROUNDS = 7
SIZE, IMAGES, BATCH = 256, 32, 4
MODEL = "unet, ResNet-50"
PACKAGES = {"lightning": ["lightning"], "transformers": ["transformers", "accelerate"]}


def rounds(library: str, case: Case) -> Any:
    """Seconds of an epoch, ours and theirs, and the library's version."""
    arguments = json.dumps([library, ROUNDS, asdict(case)])
    command = [str(python_with(library, PACKAGES[library])), "-m", "bench.trainers_epoch", arguments]
    given = {"GOMP_SPINCOUNT": "3000", **os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(library: str, size: int, images: int) -> list[Row]:
    published = CASES[MODEL]
    model = {"name": published.model, **published.options}
    found = rounds(library, Case(model, published.encoder, (size, size), BATCH, images))
    theirs = f"{library} {found['version']}"
    ratio = median(each["theirs"] / each["ours"] for each in found["rounds"])
    return [
        Row(f"{MODEL}: epoch, ours", median(each["ours"] for each in found["rounds"]), "s"),
        Row(f"{MODEL}: epoch, {theirs}", median(each["theirs"] for each in found["rounds"]), "s"),
        Row(f"{MODEL}: ours against {theirs}", ratio, "×", ">= 1.0"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--images", type=int, default=IMAGES)
    asked = parser.parse_args()
    rows = [row for library in PACKAGES for row in so_far(rows_of(library, asked.size, asked.images))]
    if (asked.size, asked.images) != (SIZE, IMAGES):
        return 0
    return publish("trainers", rows)


if __name__ == "__main__":
    sys.exit(main())
