"""Feeds the device: batches out of packed sets, changed online by a recipe, read ahead of the step that needs them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segpipe import artifacts
from segpipe.augmentations import RECIPES
from segpipe.preparation.manifest import PackedSplit

AHEAD = 3


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, 3, H, W], channels last in memory; masks uint8 [B, H, W]; the samples' names."""

    images: Tensor
    masks: Tensor
    names: list[str]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.images.to(device, non_blocking=True), self.masks.to(device, non_blocking=True), self.names)


class Samples:
    """The samples of one split, of one packed folder or of several behind each other."""

    def __init__(self, folders: Sequence[Path], split: str) -> None:
        self._splits = [PackedSplit(folder, split) for folder in folders]
        self._places = [(packed, index) for packed in self._splits for index in range(len(packed))]
        self.names = [name for packed in self._splits for name in packed.names]
        self.size: tuple[int, int] = tuple(self._splits[0].manifest["size"])
        if not self._places:
            raise ValueError(f"{folders[0]} has no {split} images. Change its dataset's `split:` in params.yaml")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        packed, row = self._places[index]
        return packed[row]


def training_samples(prepared: Path, augmented: Path) -> Samples:
    """The training images with their offline copies, which must be copies of these very images."""
    made_from = artifacts.read_json(augmented / "manifest.json")["parent"]["content"]
    if made_from != artifacts.read_json(prepared / "manifest.json")["content"]:
        raise ValueError(
            f"{augmented} was made from other images than {prepared} holds now. "
            f"Make it again: `dvc repro augment@{augmented.name}`"
        )
    return Samples([prepared, augmented], "train")


def in_order(samples: Samples, batch: int) -> Iterator[Batch]:
    """Every sample once, as it lies."""
    return _ahead(_batches(samples, np.arange(len(samples)), batch, "none", (0, 0)))


def shuffled(samples: Samples, batch: int, recipe: str, seed: int, epoch: int) -> Iterator[Batch]:
    """Every sample once, in the order and with the changes that (seed, epoch) give it."""
    order = np.random.default_rng([seed, epoch]).permutation(len(samples))
    return _ahead(_batches(samples, order, batch, recipe, (seed, epoch)))


def num_batches(samples: Samples, batch: int) -> int:
    return -(-len(samples) // batch)


def _batches(samples: Samples, order: np.ndarray, batch: int, recipe: str, key: tuple[int, int]) -> Iterator[Batch]:
    change = RECIPES[recipe]
    for start in range(0, len(order), batch):
        chosen = [int(index) for index in order[start : start + batch]]
        images = np.empty((len(chosen), *samples.size, 3), np.uint8)
        masks = np.empty((len(chosen), *samples.size), np.uint8)
        for row, index in enumerate(chosen):
            images[row], masks[row] = change(*samples[index], np.random.default_rng([*key, index]))
        names = [samples.names[index] for index in chosen]
        yield Batch(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks), names)


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, made by a thread that stays a few of them ahead."""
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stop = threading.Event()

    def offer(entry: Any) -> None:
        while not stop.is_set():
            try:
                return ready.put(entry, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                offer((item, None))
                if stop.is_set():
                    return
            offer((None, None))
        except BaseException as error:  # handed to the consumer, who raises it
            offer((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (entry := ready.get())[0] is not None:
            yield entry[0]
        if entry[1] is not None:
            raise entry[1]
    finally:
        stop.set()
