"""Feeds the device: batches out of packed sets, changed online by a recipe, read ahead of the step that needs them."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segpipe import artifacts, augmentations
from segpipe.parallel import num_processes
from segpipe.preparation.manifest import PackedSplit, part_and_place
from segpipe.preparation.statistics import repeat_factors

AHEAD = 3
"""Batches in the making while one is used; more only where they are too small to keep every thread busy."""


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, 3, H, W], channels last in memory; masks uint8 [B, H, W]; the samples' names."""

    images: Tensor
    masks: Tensor
    names: list[str]

    def to(self, device: torch.device) -> Batch:
        # Other memory than pinned may be filled anew before a copy that nobody waits for has read it.
        ahead = self.images.is_pinned()
        return Batch(self.images.to(device, non_blocking=ahead), self.masks.to(device, non_blocking=ahead), self.names)


class Samples:
    """The samples of one split, of one packed folder or of several behind each other."""

    def __init__(self, folders: Sequence[Path], split: str) -> None:
        self._splits = [PackedSplit(folder, split) for folder in folders]
        self._ends = list(accumulate(len(packed) for packed in self._splits))
        self.names = [name for packed in self._splits for name in packed.names]
        self.size: tuple[int, int] = tuple(self._splits[0].manifest["size"])
        self.threads = num_processes()
        if not len(self):
            raise ValueError(f"{folders[0]} has no {split} images. Change its dataset's `split:` in params.yaml")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part, place = part_and_place(self._ends, index)
        return self._splits[part][place]

    @property
    def class_pixels(self) -> np.ndarray:
        """[N, C] int64: how many pixels of each sample have each class."""
        return np.concatenate([packed.class_pixels for packed in self._splits])


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
    order = np.arange(len(samples))
    return _batches(_Pass(samples, order, order, "none"), batch)


def shuffled(samples: Samples, batch: int, recipe: str, sampler: str, seed: int, epoch: int) -> Iterator[Batch]:
    """As many samples as there are, chosen and changed as (seed, epoch) and the place in the epoch decide."""
    rng = np.random.default_rng([seed, epoch])
    order = SAMPLERS[sampler](samples, rng)
    numbers = rng.integers(0, 1 << 32, len(order))
    return _batches(_Pass(samples, order, numbers, recipe), batch)


def num_batches(samples: Samples, batch: int) -> int:
    return len(_cuts(len(samples), batch)) - 1


# The order of an epoch


def _every_image(samples: Samples, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(samples))


def _rare_classes(samples: Samples, rng: np.random.Generator) -> np.ndarray:
    """Repeat-factor sampling, as for LVIS: each image as often as its factor asks, rounded up or down by chance."""
    # Laid end to end, each as long as its factor, the images are picked at even steps from a random start.
    ends = np.cumsum(repeat_factors(samples.class_pixels))
    steps = (np.arange(len(ends)) + rng.random()) / len(ends)
    return rng.permutation(np.searchsorted(ends / ends[-1], steps))


SAMPLERS: dict[str, Callable[[Samples, np.random.Generator], np.ndarray]] = {
    "every_image": _every_image,
    "rare_classes": _rare_classes,
}


def _cuts(count: int, batch: int) -> list[int]:
    """Where one batch ends and the next begins, from 0 to `count`.

    The last batch is what is left, but never one sample alone, which batch norm over a pooled map cannot take: it gets
    a second one from the batch before, or joins that one where it has but two.
    """
    cuts = [*range(0, count, batch), count]
    if batch > 1 and len(cuts) > 2 and cuts[-1] - cuts[-2] == 1:
        cuts[-2] -= 1
        if batch == 2:
            del cuts[-2]
    return cuts


# Reading ahead


@dataclass(frozen=True)
class _Pass:
    """Which samples come, in what order, and the number that decides the changes of each."""

    samples: Samples
    order: np.ndarray
    numbers: np.ndarray
    recipe: str


class _Memory:
    """Memory for batches, taken again once nobody holds what lay in it: fresh pages cost as much as filling them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._free: list[np.ndarray] = []
        self._is_pinned = torch.cuda.is_available()

    def take(self, count: int) -> Tensor:
        """[count, ...] uint8, with anything in it."""
        if self._is_pinned:  # torch takes such memory again itself, and knows when a device has read it
            return torch.empty((count, *self._shape[1:]), dtype=torch.uint8, pin_memory=True)
        whole = self._free.pop() if self._free else np.empty(self._shape, np.uint8)
        lent = whole[:count]
        weakref.finalize(lent, self._free.append, whole).atexit = False
        return torch.from_numpy(lent)  # holds `lent`, and every view of the tensor holds it too


class _OwnRecipe(threading.local):
    """A recipe for each thread that uses it: `threading.local` calls this anew in every thread."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self.change = augmentations.recipe(name, size)


class _Filling:
    """The threads of one pass, and what they fill batches with."""

    def __init__(self, wanted: _Pass, rows: int) -> None:
        self._wanted, self._threads = wanted, wanted.samples.threads
        self._recipe = _OwnRecipe(wanted.recipe, wanted.samples.size)
        self._images, self._masks = (_Memory((rows, *wanted.samples.size, *channels)) for channels in ((3,), ()))
        self._executor = ThreadPoolExecutor(self._threads, "loading")

    def begin(self, places: range) -> tuple[Batch, list[Future[None]]]:
        """A batch for these places of the order, and the work of filling it, begun."""
        images, masks = self._images.take(len(places)), self._masks.take(len(places))
        rows = list(zip(places, images.numpy(), masks.numpy(), strict=True))
        # So many rows to a thread, for to hand over one alone takes as long as to fill it.
        share = -(-len(rows) // self._threads)
        starts = range(0, len(rows), share)
        filling = [self._executor.submit(self._fill, rows[start : start + share]) for start in starts]
        names = [self._wanted.samples.names[index] for index in self._wanted.order[places.start : places.stop]]
        return Batch(images.permute(0, 3, 1, 2), masks, names), filling

    def _fill(self, rows: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
        samples = self._wanted.samples
        for place, empty_image, empty_mask in rows:
            index = int(self._wanted.order[place])
            try:
                image, mask = samples[index]
                shapes, expected = (image.shape, mask.shape), (empty_image.shape, empty_mask.shape)
                if shapes != expected:
                    raise ValueError(f"image and mask have the shapes {shapes}, expected {expected}")
                self._recipe.change(image, mask, int(self._wanted.numbers[place]), (empty_image, empty_mask))
            except Exception as error:
                raise ValueError(
                    f"sample '{samples.names[index]}' could not be put into its batch: {error}. "
                    "If its set is damaged, make it again: `dvc repro -f preprocess augment`"
                ) from error

    def end(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def _batches(wanted: _Pass, batch: int) -> Iterator[Batch]:
    """The batches of a pass, each filled by all threads; they end with the iterator, also when it is abandoned."""
    cuts = _cuts(len(wanted.order), batch)
    ahead = max(AHEAD, -(-2 * wanted.samples.threads // batch))
    filling = _Filling(wanted, max(end - start for start, end in pairwise(cuts)))
    begun: deque[tuple[Batch, list[Future[None]]]] = deque()
    try:
        for start, end in pairwise(cuts):
            begun.append(filling.begin(range(start, end)))
            if len(begun) > ahead:
                yield _finished(*begun.popleft())
        while begun:
            yield _finished(*begun.popleft())
    finally:
        filling.end()


def _finished(batch: Batch, filling: list[Future[None]]) -> Batch:
    for share in filling:
        share.result()
    return batch
