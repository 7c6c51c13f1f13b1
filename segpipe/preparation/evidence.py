"""What each file shows when it is decoded once: its size, its raw ids and its fingerprints, never its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.datasets import Pair
from segpipe.labels import LabelTable
from segpipe.parallel import in_processes
from segpipe.preparation import reading, twins
from segpipe.terminal import progress


@dataclass(frozen=True)
class ImageEvidence:
    size: tuple[int, int]
    digest: str
    difference_hash: int
    thumbnail: np.ndarray


@dataclass(frozen=True)
class MaskEvidence:
    size: tuple[int, int]
    pixels: np.ndarray
    """By raw id: [256] int64."""


@dataclass(frozen=True)
class Refused:
    """Why a file cannot be used: the check that it fails, and what was found."""

    check: str
    found: str


Evidence = ImageEvidence | MaskEvidence | Refused


@dataclass(frozen=True)
class View:
    """One reading of a dataset: its pairs, where they stand, and what their files show."""

    name: str
    table: LabelTable
    source: str
    """The file in segpipe/datasets/ that lists the pairs and the labels: where a person mends them."""
    is_official: bool
    """Whether the split came with the dataset, so that its flaws are reported and not ours to mend."""
    listed: list[Pair]
    unpaired: list[Path]
    splits: dict[str, str]
    evidence: Mapping[Path, Evidence]

    @cached_property
    def pairs(self) -> list[Pair]:
        """The sound ones: both files decode, to the same size."""
        return [pair for pair in self.listed if self._is_sound(pair)]

    @cached_property
    def images(self) -> list[ImageEvidence]:
        found = (self.evidence[pair.image] for pair in self.pairs)
        return [image for image in found if isinstance(image, ImageEvidence)]

    @cached_property
    def raw_pixels(self) -> np.ndarray:
        """By sound pair and raw id: [N, 256] int64."""
        found = (self.evidence[pair.mask] for pair in self.pairs)
        return np.array([mask.pixels for mask in found if isinstance(mask, MaskEvidence)], np.int64).reshape(-1, 256)

    @cached_property
    def class_pixels(self) -> np.ndarray:
        """By sound pair and class id: [N, C] int64."""
        return np.stack([self.raw_pixels[:, list(label.raw_ids)].sum(1) for label in self.table.classes], 1)

    @cached_property
    def ignored_pixels(self) -> np.ndarray:
        """By sound pair: [N] int64."""
        ignored: np.ndarray = self.raw_pixels[:, list(self.table.ignored)].sum(1)
        return ignored

    def split_of(self, pair: Pair) -> str:
        return self.splits[pair.name]

    def is_in(self, split: str) -> np.ndarray:
        """Which sound pairs stand in the split: [N] bool."""
        return np.array([self.split_of(pair) == split for pair in self.pairs], bool)

    def sizes(self, pair: Pair) -> list[tuple[int, int]]:
        """Of the image and the mask, as far as they decode."""
        found = (self.evidence[pair.image], self.evidence[pair.mask])
        return [file.size for file in found if not isinstance(file, Refused)]

    def _is_sound(self, pair: Pair) -> bool:
        sizes = self.sizes(pair)
        return len(sizes) == 2 and sizes[0] == sizes[1]


def gather(pairs: Iterable[Pair], label: str) -> dict[Path, Evidence]:
    """The evidence by file; a file that several pairs share is decoded once."""
    both = (task for pair in pairs for task in ((pair.image, examine_image), (pair.mask, examine_mask)))
    tasks = list(dict.fromkeys(both))
    found = progress(in_processes(_examine, tasks), label, len(tasks))
    return {path: evidence for (path, _), evidence in zip(tasks, found, strict=True)}


def examine_image(path: Path) -> ImageEvidence:
    """What stays of an image: nothing that grows with its size."""
    pixels = reading.read_image(path)
    grey = Image.fromarray(pixels).convert("L")
    digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    return ImageEvidence(pixels.shape[:2], digest, twins.difference_hash(grey), twins.thumbnail(grey))


def examine_mask(path: Path) -> MaskEvidence:
    """What stays of a mask: how many pixels hold each raw id."""
    mask = reading.read_raw_mask(path)
    return MaskEvidence(mask.shape[:2], np.bincount(mask.ravel(), minlength=256))


def _examine(task: tuple[Path, Callable[[Path], Evidence]]) -> Evidence:
    path, examine = task
    try:
        return examine(path)
    except reading.Refusal as refusal:
        return Refused(refusal.check, refusal.found)
