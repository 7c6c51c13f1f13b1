"""How fast the loader is, against the usual one and against a plain copy of the same bytes, and how much it holds.

The usual loader is torch's DataLoader with as many processes as ours has threads: each epoch it decodes with cv2, then
resizes, augments and normalises with albumentations. It reads the very files that ours was packed from: fabricated, and
as large as the real ones. All lie in the page cache; every figure is the median of interleaved rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sized
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import torch

from bench import fabricated_pairs as pairs
from bench.results import Row, publish
from segpipe import artifacts
from segpipe.augmentations import RECIPES
from segpipe.loading import AHEAD, Batch, Samples, shuffled
from segpipe.params import ResolvedPrepared
from segpipe.preparation.manifest import Shard, write_manifest
from segpipe.preparation.packing import COLUMNS, pack
from segpipe.preparation.statistics import write_class_pixels

ROOT = Path(__file__).parents[1]
WORKERS = 2
BATCH = 8
IMAGES = 64
"""Files of each set: packed, they take more than a processor's cache."""

TURNS = 12
"""How often a fast epoch sees each file: it is about as long as a real one then."""

REPEATS = 3
LEAST_SECONDS = 0.7
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Set(NamedTuple):
    """Files, the size at which they are trained on, and how much faster than the usual loader ours must be."""

    files: pairs.Format
    size: tuple[int, int]
    bound: str

    @property
    def title(self) -> str:
        (height, width), (rows, columns) = self.files.size, self.size
        return f"{width}x{height} {self.files.ending.upper()} at {rows}x{columns}"


SETS = (Set(pairs.AEROSCAPES, (518, 518), ">= 20"), Set(pairs.CITYSCAPES, (512, 1024), ">= 100"))


def prepare(wanted: Set, images: int = IMAGES) -> None:
    """The files, and what `preprocess` makes of them."""
    pairs.fabricate(wanted.files.name, wanted.files, images)
    pairs.list_pairs(wanted.files.name, 1)
    settings = {"dataset": wanted.files.name, "view": pairs.TABLE.name, "size": wanted.size}
    pack(wanted.files.name, ResolvedPrepared.model_validate({**settings, "labels": pairs.TABLE.as_dict()}))


# The usual loader


class UsualDataset(torch.utils.data.Dataset[Any]):
    """Decodes, resizes, changes and normalises one pair whenever it is asked for."""

    def __init__(self, wanted: Set) -> None:
        import albumentations
        import cv2
        from albumentations.pytorch import ToTensorV2

        cv2.setNumThreads(0)  # as is usual: its processes are enough
        self._raw = artifacts.raw(wanted.files.name)
        self._pairs = artifacts.read_rows(artifacts.audit(wanted.files.name) / "pairs.csv")
        s1 = [albumentations.HorizontalFlip(p=0.5), albumentations.RandomBrightnessContrast(p=0.5)]
        before, after = albumentations.Resize(*wanted.size), albumentations.Normalize(IMAGENET_MEAN, IMAGENET_STD)
        self._compose = albumentations.Compose([before, *s1, after, ToTensorV2()])

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        import cv2

        image, mask = (str(self._raw / self._pairs[index][part]) for part in ("image", "mask"))
        rgb = cv2.cvtColor(cv2.imread(image), cv2.COLOR_BGR2RGB)
        changed = self._compose(image=rgb, mask=cv2.imread(mask, cv2.IMREAD_UNCHANGED))
        return changed["image"], changed["mask"].long()


def usual(wanted: Set) -> torch.utils.data.DataLoader[Any]:
    """Its processes live on from epoch to epoch, so that their start is not counted."""
    return torch.utils.data.DataLoader(
        UsualDataset(wanted), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )


# Ours, and the copy


def ours(samples: Samples, recipe: str) -> Iterable[Batch]:
    return shuffled(samples, BATCH, recipe, "every_image", 0, 1)


def device() -> torch.device:
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def normalised(batches: Iterable[Batch]) -> Iterable[torch.Tensor]:
    """What the model does first, on this machine's device: counted in, to compare like with like."""
    mean, std = (torch.tensor(value, device=device()).view(1, 3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
    scale, shift = 1 / (255 * std), -mean / std
    for batch in batches:
        yield batch.to(device()).images.to(torch.float32) * scale + shift
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def copied(samples: Samples, threads: int) -> int:
    """Every sample once, out of the memory map into as many batches as ours has at a time, and nothing else."""
    order, count = np.random.default_rng([0, 1]).permutation(len(samples)), BATCH * (AHEAD + 2)
    images, masks = np.empty((count, *samples.size, 3), np.uint8), np.empty((count, *samples.size), np.uint8)

    def copy(first: int) -> None:
        for place in range(first, len(order), threads):
            image, mask = samples[int(order[place])]
            np.copyto(images[place % count], image)
            np.copyto(masks[place % count], mask)

    running = [Thread(target=copy, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len(order)


# Speed


def speed(epoch: Callable[[], int]) -> float:
    """Images a second, over whole epochs, each of which says how many it had."""
    began, images = time.perf_counter(), 0
    while time.perf_counter() - began < LEAST_SECONDS:
        images += epoch()
    return images / (time.perf_counter() - began)


def count(batches: Iterable[Sized]) -> int:
    return sum(len(batch) for batch in batches)


def measurements(wanted: Set) -> dict[str, Callable[[], int]]:
    """Everything that is timed on one set, by name."""
    loader, folder = usual(wanted), artifacts.prepared(wanted.files.name)
    once, long = Samples([folder], "train"), Samples([folder] * TURNS, "train")

    def by(recipe: str, samples: Samples) -> Callable[[], int]:
        return lambda: count(batch.names for batch in ours(samples, recipe))

    return {
        "usual": lambda: count(images for images, _ in loader),
        **{recipe: by(recipe, once if recipe in ("street", "heavy") else long) for recipe in RECIPES},
        "s1, normalised": lambda: count(normalised(ours(once, "s1"))),
        "copy": lambda: copied(long, WORKERS),
        "copy by one thread": lambda: copied(long, 1),
    }


def rounds(timed: dict[str, Callable[[], int]]) -> list[dict[str, float]]:
    """Images a second, in rounds of everything in turn, so that a busy minute of the machine meets all of it alike."""
    for epoch in timed.values():
        epoch()
    return [{name: speed(epoch) for name, epoch in timed.items()} for _ in range(REPEATS)]


def speeds(wanted: Set) -> list[Row]:
    """The median speeds, and the medians of the rounds' own ratios."""
    prepare(wanted)
    found = rounds(measurements(wanted))

    def ratio(ours: str, other: str) -> float:
        return float(np.median([each[ours] / each[other] for each in found]))

    rows = [Row(f"{wanted.title}: {name}", float(np.median([e[name] for e in found])), "images/s") for name in found[0]]
    return [
        *rows,
        Row(f"{wanted.title}: s1 against the usual loader", ratio("s1", "usual"), "×", wanted.bound),
        Row(f"{wanted.title}: the same, normalised on {device()}", ratio("s1, normalised", "usual"), "×"),
        Row(f"{wanted.title}: flips against the copy", ratio("flips", "copy"), "×", ">= 0.6"),
    ]


# Memory

EPOCH = """
import sys
from pathlib import Path
from segpipe.loading import Samples, shuffled
def mebibytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
samples, own = Samples([Path(sys.argv[1])], "train"), []
for number, _ in enumerate(shuffled(samples, 16, "flips", "rare_classes", 0, 1)):
    if number % 8 == 0:
        own.append(mebibytes("RssAnon"))
print(max(own), mebibytes("VmHWM"))
"""


def memory(images: int) -> tuple[float, float]:
    """MiB in a fresh process over an epoch: the most that was its own, and the peak with the mapped files' pages."""
    folder, shard = Path(f"data/prepared/empty_{images}"), Shard("train", "i.npy", "m.npy", images)
    folder.mkdir(parents=True)
    shard.create(folder, (160, 160))
    rows = (
        {"split": "train", "index": n, "name": f"sample-{n}", "group": f"sequence-{n // 20}"} for n in range(images)
    )
    artifacts.write_rows(folder / "samples.csv", rows, COLUMNS)
    write_class_pixels(folder, [np.full(5, 100)] * images, 5)
    write_manifest(folder, {"size": [160, 160], "labels": pairs.TABLE.as_dict()}, [shard])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", EPOCH, str(folder)]
    own, peak = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()
    return float(own), float(peak)


def memories() -> list[Row]:
    few, many = memory(500), memory(5000)
    return [
        Row("an epoch over 500 images: memory of its own", few[0], "MiB"),
        Row("an epoch over 5000 images: memory of its own", many[0], "MiB"),
        Row("an epoch over 500 images: peak, with reclaimable file pages", few[1], "MiB"),
        Row("an epoch over 5000 images: peak, with reclaimable file pages", many[1], "MiB"),
        Row("memory of its own, 5000 images against 500", many[0] / few[0], "×", "< 1.1"),
    ]


def main() -> int:
    os.environ |= {"NO_ALBUMENTATIONS_UPDATE": "1", "SEGPIPE_WORKERS": str(WORKERS)}
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        rows = [row for wanted in SETS for row in speeds(wanted)] + memories()
    return publish("loading", rows)


if __name__ == "__main__":
    sys.exit(main())
