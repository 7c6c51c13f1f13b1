"""Kept features on disk: a folder for one split of one packed set, turned one way, seen by one backbone.

Shards are written whole and noted one by one, so that a build that was killed goes on; `manifest.json` comes last, and
a folder without it is no entry yet. All of it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from segpipe import artifacts
from segpipe.preparation.manifest import part_and_place
from segpipe.terminal import say

SHARD_BYTES = 1 << 27
"""What a killed build does again at most, and what a build holds in memory."""

Shapes = tuple[tuple[int, ...], ...]
"""Of the features of one image, as they lie on disk."""


@dataclass(frozen=True)
class Plan:
    """What an entry is to hold: so many samples with features of these shapes, bf16, kept as their bits in uint16."""

    folder: Path
    identity: dict[str, Any]
    count: int
    shapes: Shapes

    @property
    def sample_bytes(self) -> int:
        return 2 * sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def bytes(self) -> int:
        return self.count * self.sample_bytes

    def shards(self) -> list[range]:
        """The samples of each shard."""
        length = max(1, SHARD_BYTES // self.sample_bytes)
        return [range(start, min(start + length, self.count)) for start in range(0, self.count, length)]

    def missing(self) -> list[int]:
        """The shards that are still to be made."""
        return [number for number in range(len(self.shards())) if not self._note(number).is_file()]

    def begin(self) -> None:
        """Take the place, so that others see how much will be needed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        artifacts.write_json(self.folder / "plan.json", {"bytes": self.bytes, **self.identity})

    def empty_shard(self, number: int) -> list[np.ndarray]:
        return [np.empty((len(self.shards()[number]), *shape), np.uint16) for shape in self.shapes]

    def write(self, number: int, arrays: Sequence[np.ndarray]) -> None:
        """A shard, and behind it the note of what was written."""
        hashes = {}
        for feature, array in enumerate(arrays):
            path = self.folder / f"{number}-{feature}.npy"
            with artifacts.replacing_file(path) as partial, partial.open("wb") as file:
                np.save(file, array)
            hashes[path.name] = hashlib.sha256(array.data).hexdigest()
        artifacts.write_json(self._note(number), hashes)

    def finish(self) -> None:
        notes = [artifacts.read_json(self._note(number)) for number in range(len(self.shards()))]
        hashes = {name: found for note in notes for name, found in note.items()}
        content = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()
        described = {"identity": self.identity, "count": self.count, "shapes": self.shapes}
        artifacts.write_json(self.folder / "manifest.json", {**described, "files": hashes, "content": content})

    def _note(self, number: int) -> Path:
        return self.folder / f"{number}.json"


def lock_of(folder: Path) -> FileLock:
    """Whoever fills this entry holds it."""
    return FileLock(folder.with_name(f".{folder.name}.lock"))


@contextlib.contextmanager
def alone_with(folder: Path) -> Iterator[None]:
    """Hold the entry's lock, however long another process still needs it."""
    lock = lock_of(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{folder}: another process makes these features; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Entry:
    """A finished entry, mapped into memory."""

    def __init__(self, plan: Plan) -> None:
        manifest = artifacts.read_json(plan.folder / "manifest.json")
        self.content: str = manifest["content"]
        shards = plan.shards()
        self._ends = list(accumulate(len(shard) for shard in shards))
        self._shards = [
            [_mapped(plan.folder / f"{number}-{feature}.npy") for feature in range(len(plan.shapes))]
            for number in range(len(shards))
        ]
        os.utime(plan.folder / "manifest.json")  # the least recently used goes first

    def __getitem__(self, index: int) -> list[np.ndarray]:
        """The features of one sample, as they lie."""
        shard, row = part_and_place(self._ends, index)
        return [array[row] for array in self._shards[shard]]


def _mapped(path: Path) -> np.ndarray:
    # As a plain array: slicing a memmap object costs as much as reading a small image.
    plain: np.ndarray = np.load(path, mmap_mode="r").view(np.ndarray)
    return plain


_proven: dict[Path, str] = {}
"""The entries that this process has read once in full, and their content."""


def is_whole(plan: Plan, threads: int) -> bool:
    """Whether the entry is there to the last bit: each process reads it once, at about a second a GB and thread."""
    path = plan.folder / "manifest.json"
    if not path.is_file():
        return False
    manifest = artifacts.read_json(path)
    if _proven.get(plan.folder) == manifest["content"]:
        return True
    with ThreadPoolExecutor(threads) as pool:
        names = list(manifest["files"])
        found = list(pool.map(lambda name: _data_hash(plan.folder / name), names))
    damaged = [name for name, is_now in zip(names, found, strict=True) if manifest["files"][name] != is_now]
    if damaged:
        say(f"{plan.folder}: {damaged[0]} is damaged; these features are computed anew")
        shutil.rmtree(plan.folder, ignore_errors=True)
        return False
    _proven[plan.folder] = manifest["content"]
    return True


def _data_hash(path: Path) -> str | None:
    """The hash of the numbers in a .npy file, or None where it cannot be read as one."""
    try:
        return hashlib.sha256(_mapped(path).data).hexdigest()
    except (ValueError, OSError, EOFError):
        return None
