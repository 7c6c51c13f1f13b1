"""Packed sets on disk: shards of plain arrays, and the manifest and samples table that say what is in them."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segpipe import artifacts
from segpipe.preparation.statistics import CLASS_PIXELS

SHARD_BYTES = 1 << 30


@dataclass(frozen=True)
class Shard:
    """Images [N, H, W, 3] and masks [N, H, W] of one split, uint8, in one folder."""

    split: str
    images: str
    masks: str
    count: int

    def create(self, folder: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Both files at their full size, mapped into memory to be filled."""
        images, masks = (
            np.lib.format.open_memmap(folder / file, mode="w+", dtype=np.uint8, shape=(self.count, *size, *channels))
            for file, channels in ((self.images, (3,)), (self.masks, ()))
        )
        for file in (self.images, self.masks):
            _take_space(folder / file)
        return images, masks

    def open(self, folder: Path, mode: Literal["r", "r+"] = "r") -> tuple[np.ndarray, np.ndarray]:
        return np.load(folder / self.images, mmap_mode=mode), np.load(folder / self.masks, mmap_mode=mode)


def _take_space(path: Path) -> None:
    """A mapped file has holes, and filling them on a full disk kills the process: better an error before the work."""
    if not hasattr(os, "posix_fallocate"):  # macOS and Windows
        return
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


class PackedSplit:
    """One split of a packed folder: its samples by index, read straight from the mapped files."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        self.manifest = artifacts.read_json(folder / "manifest.json")
        described = self.manifest["splits"].get(split, {"shards": []})["shards"]
        files = [Shard(split, **shard) for shard in described]
        # As plain arrays: slicing a memmap object costs as much as reading a small image.
        self._shards = [tuple(mapped.view(np.ndarray) for mapped in shard.open(folder)) for shard in files]
        self._ends = list(accumulate(shard.count for shard in files))
        self.names = [row["name"] for row in self.samples]

    @property
    def samples(self) -> list[dict[str, str]]:
        """The rows of samples.csv; read when asked for, since they weigh more than everything else here."""
        return [row for row in artifacts.read_rows(self._folder / "samples.csv") if row["split"] == self._split]

    @property
    def class_pixels(self) -> np.ndarray:
        """[N, C] int64: how many pixels of each sample have each class."""
        rows = artifacts.read_rows(self._folder / "samples.csv")
        here = [number for number, row in enumerate(rows) if row["split"] == self._split]
        table: np.ndarray = np.load(self._folder / CLASS_PIXELS, mmap_mode="r")[here]
        return table

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        shard, row = part_and_place(self._ends, index)
        images, masks = self._shards[shard]
        return images[row], masks[row]


def part_and_place(ends: Sequence[int], index: int) -> tuple[int, int]:
    """Of parts that lie one behind the other and end at `ends`: which one holds this index, and where in it."""
    if not 0 <= index < (ends[-1] if ends else 0):
        raise IndexError(index)
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)


def shards(split: str, count: int, size: tuple[int, int]) -> list[Shard]:
    """How `count` samples of a split are cut into files of at most 1 GiB."""
    per_shard = max(1, SHARD_BYTES // (size[0] * size[1] * 3))
    starts = range(0, count, per_shard)
    return [
        Shard(split, f"{split}-{k}-images.npy", f"{split}-{k}-masks.npy", min(per_shard, count - start))
        for k, start in enumerate(starts)
    ]


def places(files: list[Shard]) -> list[tuple[Shard, int]]:
    """Every row of these shards, in order."""
    return [(shard, row) for shard in files for row in range(shard.count)]


def write_manifest(folder: Path, facts: dict[str, Any], files: list[Shard]) -> None:
    """manifest.json: the facts, the shards by split, and the hash of everything that they hold."""
    splits: dict[str, Any] = {}
    for shard in files:
        entry = splits.setdefault(shard.split, {"images": 0, "shards": []})
        entry["images"] += shard.count
        entry["shards"].append({"images": shard.images, "masks": shard.masks, "count": shard.count})
    artifacts.write_json(folder / "manifest.json", {**facts, "splits": splits, "content": content_hash(folder, files)})


def content_hash(folder: Path, files: list[Shard]) -> str:
    """sha256 over the shards as they lie on disk, images before masks."""
    digest = hashlib.sha256()
    for shard in files:
        for file in (shard.images, shard.masks):
            with (folder / file).open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()
