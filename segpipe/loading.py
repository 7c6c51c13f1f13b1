"""Feeds the device: batches out of packed sets, changed online by a recipe, read ahead of the step that needs them."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

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
    """Images uint8 [B, 3, H, W], channels last in memory; masks uint8 [B, H, W]; the samples' names.

    Where features [B, ...] stand for the images, those are empty. `whole` counts what all processes have of the batch.
    """

    images: Tensor
    masks: Tensor
    names: list[str]
    features: tuple[Tensor, ...] = ()
    whole: int = 0

    def to(self, device: torch.device) -> Batch:
        # Other memory than pinned may be filled anew before a copy that nobody waits for has read it.
        images, masks, *features = (
            tensor.to(device, non_blocking=tensor.is_pinned()) for tensor in (self.images, self.masks, *self.features)
        )
        return replace(self, images=images, masks=masks, features=tuple(features))


Row = tuple[tuple[int, ...], Any]
"""The shape and the dtype of one array of a sample."""

Fill = Callable[[int, int, Sequence[np.ndarray]], None]
"""(index, number, into): writes a sample, changed as `number` decides, over the arrays `into`."""


class Samples:
    """The samples of one split, of one packed folder or of several behind each other."""

    def __init__(self, folders: Sequence[Path], split: str) -> None:
        self.folders, self.split = tuple(folders), split
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

    def parts(self) -> list[Samples]:
        """The same samples, a packed folder at a time; one that holds none of this split is left out."""
        counts = zip(self.folders, self._splits, strict=True)
        return [Samples([folder], self.split) for folder, packed in counts if len(packed)]

    @property
    def content(self) -> list[str]:
        """The hash of each folder's arrays."""
        return [packed.manifest["content"] for packed in self._splits]

    def rows(self) -> list[Row]:
        """The arrays that a sample fills in a batch."""
        return [((*self.size, 3), np.uint8), (self.size, np.uint8)]

    def filler(self, recipe: str) -> Fill:
        """What fills them, for one thread alone."""
        change = augmentations.recipe(recipe, self.size)

        def fill(index: int, number: int, into: Sequence[np.ndarray]) -> None:
            image, mask = self[index]
            empty_image, empty_mask = into
            shapes, expected = (image.shape, mask.shape), (empty_image.shape, empty_mask.shape)
            if shapes != expected:
                raise ValueError(f"image and mask have the shapes {shapes}, expected {expected}")
            change(image, mask, number, (empty_image, empty_mask))

        return fill

    def batch(self, filled: Sequence[Tensor], names: list[str]) -> Batch:
        """A batch out of the arrays that were filled."""
        images, masks = filled
        return Batch(images.permute(0, 3, 1, 2), masks, names)

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


WHOLE = (0, 1)
"""The share of one process alone: the first of one."""


def in_order(samples: Samples, batch: int, share: tuple[int, int] = WHOLE) -> Iterator[Batch]:
    """Every sample once, as it lies."""
    order = np.arange(len(samples))
    batches = _batches(_Pass(samples, order, order, "none"), batch, share)
    return (part for part in batches if part.names)


def flipped(samples: Samples, batch: int, number: int, among: range) -> Iterator[Batch]:
    """These samples, as they lie, all turned as the recipe `flips` does it for `number`."""
    order = np.asarray(among)
    return _batches(_Pass(samples, order, np.full(len(order), number), "flips"), batch, WHOLE)


def shuffled(
    samples: Samples, batch: int, recipe: str, sampler: str, seed: int, epoch: int, share: tuple[int, int] = WHOLE
) -> Iterator[Batch]:
    """As many samples as there are, chosen and changed as (seed, epoch) and the place in the epoch decide.

    `share`, the rank and the number of processes, picks a part of each batch: all of them make the same steps.
    """
    rng = np.random.default_rng([seed, epoch])
    order = SAMPLERS[sampler](samples, rng)
    numbers = rng.integers(0, 1 << 32, len(order))
    return _batches(_Pass(samples, order, numbers, recipe), batch, share)


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

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._free: list[np.ndarray] = []
        self._is_pinned = torch.cuda.is_available()

    def take(self, count: int) -> Tensor:
        """[count, ...], with anything in it."""
        if self._is_pinned:  # torch takes such memory again itself, and knows when a device has read it
            dtype = getattr(torch, self._dtype.name)
            return torch.empty((count, *self._shape[1:]), dtype=dtype, pin_memory=True)
        whole = self._free.pop() if self._free else np.empty(self._shape, self._dtype)
        lent = whole[:count]
        weakref.finalize(lent, self._free.append, whole).atexit = False
        return torch.from_numpy(lent)  # holds `lent`, and every view of the tensor holds it too


class _OwnFiller(threading.local):
    """A filler for each thread that uses it: `threading.local` calls this anew in every thread."""

    def __init__(self, samples: Samples, recipe: str) -> None:
        self.fill = samples.filler(recipe)


class _Filling:
    """The threads of one pass, and what they fill batches with."""

    def __init__(self, wanted: _Pass, rows: int) -> None:
        self._wanted, self._threads = wanted, wanted.samples.threads
        self._own = _OwnFiller(wanted.samples, wanted.recipe)
        self._memories = [_Memory((rows, *shape), dtype) for shape, dtype in wanted.samples.rows()]
        self._executor = ThreadPoolExecutor(self._threads, "loading")

    def begin(self, places: range, whole: int) -> tuple[Batch, list[Future[None]]]:
        """A batch for these places of the order, and the work of filling it, begun."""
        lent = [memory.take(len(places)) for memory in self._memories]
        rows = list(zip(places, *(tensor.numpy() for tensor in lent), strict=True))
        # So many rows to a thread, for to hand over one alone takes as long as to fill it.
        share = max(1, -(-len(rows) // self._threads))
        starts = range(0, len(rows), share)
        filling = [self._executor.submit(self._fill, rows[start : start + share]) for start in starts]
        names = [self._wanted.samples.names[index] for index in self._wanted.order[places.start : places.stop]]
        return replace(self._wanted.samples.batch(lent, names), whole=whole), filling

    def _fill(self, rows: list[tuple[Any, ...]]) -> None:
        for place, *into in rows:
            index = int(self._wanted.order[place])
            try:
                self._own.fill(index, int(self._wanted.numbers[place]), into)
            except Exception as error:
                raise ValueError(
                    f"sample '{self._wanted.samples.names[index]}' could not be put into its batch: {error}. "
                    "If its set is damaged, make it again: `dvc repro -f preprocess augment`"
                ) from error

    def end(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def _batches(wanted: _Pass, batch: int, share: tuple[int, int]) -> Iterator[Batch]:
    """The batches of a pass, each filled by all threads; they end with the iterator, also when it is abandoned."""
    cuts = _cuts(len(wanted.order), batch)
    ahead = max(AHEAD, -(-2 * wanted.samples.threads // batch))
    filling = _Filling(wanted, max(end - start for start, end in pairwise(cuts)))
    begun: deque[tuple[Batch, list[Future[None]]]] = deque()
    try:
        for start, end in pairwise(cuts):
            begun.append(filling.begin(_part(start, end, share), end - start))
            if len(begun) > ahead:
                yield _finished(*begun.popleft())
        while begun:
            yield _finished(*begun.popleft())
    finally:
        filling.end()


def _part(start: int, end: int, share: tuple[int, int]) -> range:
    """What of the places of a batch falls to a process: as much as to the others, or one less."""
    rank, count = share
    length = end - start
    return range(start + length * rank // count, start + length * (rank + 1) // count)


def _finished(batch: Batch, filling: list[Future[None]]) -> Batch:
    for share in filling:
        share.result()
    return batch
