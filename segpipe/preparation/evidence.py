"""What each file shows when it is decoded: its size, its raw ids and its fingerprints, never its pixels.

Little is kept of each, since there may be many. Pictures that may show the same are decoded again to be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from segpipe.datasets import Pair
from segpipe.labels import PLAIN, UNMAPPED, Encoding, LabelTable
from segpipe.parallel import in_processes
from segpipe.preparation import reading, twins
from segpipe.terminal import progress

FEW = 8
"""Pictures that are compared sooner than processes are started for it."""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """The last two are there where another picture may show the same."""

    size: tuple[int, int]
    difference_hash: int
    pixel_digest: str = ""
    grey_levels: bytes = b""

    @property
    def digest(self) -> str:
        """What equal pictures share, and no others."""
        return self.pixel_digest or f"alone {id(self)}"

    @property
    def thumbnail(self) -> np.ndarray:
        """[1024] uint8; black for a picture that need not be compared."""
        return np.frombuffer(self.grey_levels or bytes(twins.THUMBNAIL**2), np.uint8)


@dataclass(frozen=True, slots=True)
class MaskEvidence:
    size: tuple[int, int]
    raw_ids: bytes
    """Those that occur."""
    pixels: np.ndarray
    """How many have each of them: int64."""
    unlisted_colors: Mapping[str, int]
    """The colours that stand for no raw id, with their pixels, where colours stand for raw ids."""


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
    def masks(self) -> list[MaskEvidence]:
        found = (self.evidence[pair.mask] for pair in self.pairs)
        return [mask for mask in found if isinstance(mask, MaskEvidence)]

    @cached_property
    def raw_pixels(self) -> np.ndarray:
        """By sound pair and raw id: [N, 256] int64."""
        table = np.zeros((len(self.masks), 256), np.int64)
        for row, mask in zip(table, self.masks, strict=True):
            row[list(mask.raw_ids)] = mask.pixels
        return table

    @cached_property
    def class_pixels(self) -> np.ndarray:
        """By sound pair and class id: [N, C] int64."""
        return np.stack([self.raw_pixels[:, list(label.raw_ids)].sum(1) for label in self.table.classes], 1)

    @cached_property
    def ignored_pixels(self) -> np.ndarray:
        """By sound pair: [N] int64."""
        ignored: np.ndarray = self.raw_pixels[:, list(self.table.ignored)].sum(1)
        return ignored

    @cached_property
    def unlisted_colors(self) -> dict[str, dict[Path, int]]:
        """Where colours stand for raw ids: those that stand for none, the frequent first, with their pixels by mask."""
        found: dict[str, dict[Path, int]] = {}
        for pair, mask in zip(self.pairs, self.masks, strict=True):
            for color, pixels in mask.unlisted_colors.items():
                found.setdefault(color, {})[pair.mask] = pixels
        return dict(sorted(found.items(), key=lambda entry: -sum(entry[1].values())))

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


def gather(
    pairs: Iterable[Pair], label: str, encodings: Mapping[Path, Encoding] = MappingProxyType({})
) -> dict[Path, Evidence]:
    """The evidence by file; a file that several pairs share is decoded once. Masks are plain, but for those named."""
    encoding_of: dict[Path, Encoding | None] = {}
    for pair in pairs:
        encoding_of[pair.image] = None
        encoding_of[pair.mask] = encodings.get(pair.mask, PLAIN)
    found = progress(in_processes(_examine, encoding_of.items()), label, len(encoding_of))
    return dict(zip(encoding_of, found, strict=True))


def compare(
    pairs: Iterable[Pair], splits: Mapping[str, str], found: Mapping[Path, Evidence], label: str
) -> dict[Path, Evidence]:
    """The evidence of the pictures that may show the same as another, decoded again for all that tells them apart."""
    sides = {pair.image: (pair.official_split, splits[pair.name]) for pair in pairs}
    images = {path: image for path in sides if isinstance(image := found[path], ImageEvidence)}
    hashes = np.array([image.difference_hash for image in images.values()], np.uint64)
    is_suspect = _may_be_seen_twice(hashes, [sides[path] for path in images])
    suspects = [path for path, is_one in zip(images, is_suspect, strict=True) if is_one]
    looks = map(look_closely, suspects) if len(suspects) <= FEW else in_processes(look_closely, suspects)
    return dict(zip(suspects, progress(looks, label, len(suspects)), strict=True))


def _may_be_seen_twice(hashes: np.ndarray, sides: Sequence[tuple[str | None, str]]) -> np.ndarray:
    """Which pictures have the difference hash of another, or nearly that of one on another side: [N] bool."""
    number_of = {side: number for number, side in enumerate(set(sides))}
    numbers = np.array([number_of[side] for side in sides], int)
    found = np.zeros(len(hashes), bool)
    for i in range(len(hashes)):
        distances = np.bitwise_count(hashes ^ hashes[i])
        is_near = (distances <= twins.MAX_DISTANCE) & (numbers != numbers[i])
        found[i] = (distances == 0).sum() > 1 or is_near.any()
    return found


def _examine(task: tuple[Path, Encoding | None]) -> Evidence:
    """An image where there is no encoding, else a mask."""
    path, encoding = task
    try:
        return examine_image(path) if encoding is None else examine_mask(path, encoding)
    except reading.Refusal as refusal:
        return Refused(refusal.check, refusal.found)


def examine_image(path: Path) -> ImageEvidence:
    """What stays of an image: nothing that grows with its size."""
    pixels = reading.read_image(path)
    return ImageEvidence(pixels.shape[:2], twins.difference_hash(_grey(pixels)))


def look_closely(path: Path) -> ImageEvidence:
    """The same, with all that tells an image from another."""
    pixels = reading.read_image(path)
    grey = _grey(pixels)
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    levels = twins.thumbnail(grey).tobytes()
    return ImageEvidence(pixels.shape[:2], twins.difference_hash(grey), digest.hexdigest(), levels)


def examine_mask(path: Path, encoding: Encoding) -> MaskEvidence:
    """What stays of a mask: how many pixels hold each raw id."""
    mask = reading.read_raw_mask(path, encoding)
    pixels = np.array(Image.fromarray(mask).histogram())  # [256]; half the time of numpy's bincount
    raw_ids = np.flatnonzero(pixels)
    has_unlisted = encoding.colors and pixels[UNMAPPED]
    unlisted = reading.unlisted_colors(path, encoding) if has_unlisted else {}
    return MaskEvidence(mask.shape[:2], bytes(raw_ids.tolist()), pixels[raw_ids], unlisted)


def _grey(pixels: np.ndarray) -> Image.Image:
    """As small as is quick, and large enough for twins.py to average."""
    grey = Image.fromarray(pixels).convert("L")
    return grey.reduce(max(1, min(grey.size) // (4 * twins.THUMBNAIL)))
