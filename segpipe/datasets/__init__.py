"""The datasets, one file each: a fact sheet in the docstring, then what the pipeline needs to know.

A dataset file offers

    LICENCE    one line: the terms that its users accept
    KAGGLE     the Kaggle name `owner/dataset`, where there is one
    VIEWS      label tables by name, each total over the raw ids of its masks, whose `encoding` says how they are read;
               each view reads its own masks
    SCENERY    what a fabricated scene shows: a file of segpipe/acquisition/scenery/
    NOTES      what is known to be wrong with the published data: the audit repeats it (optional)
    SOURCE     where a person mends labels and groups, if that is not the dataset's file (optional)
    find_root(folder)           where the dataset begins, under any number of wrapping folders
    pairs(root, view)           every image with its mask, by name, without opening either
    unpaired(root, view)        images without a mask, and masks without an image
    fabricate(root, scenes)     write scenes in the exact layout and encoding of the real dataset

One whose layout its user describes (`folder`) offers `Layout`, its settings, and `configured(layout)`, which has all
that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from segpipe import components
from segpipe.labels import LabelTable


@dataclass(frozen=True)
class Pair:
    """An image and its mask. `group` holds images that must not be separated (a sequence, a place)."""

    name: str
    group: str
    image: Path
    mask: Path
    official_split: str | None = None


class Scene(Protocol):
    """A fabricated picture: RGB [H, W, 3], what each pixel shows [H, W], and the sequence and frame that it is of."""

    @property
    def image(self) -> np.ndarray: ...
    @property
    def things(self) -> np.ndarray: ...
    @property
    def sequence(self) -> int: ...
    @property
    def frame(self) -> int: ...


class Dataset(Protocol):
    """What a dataset file is to the rest of segpipe."""

    __name__: str
    LICENCE: str
    VIEWS: Mapping[str, LabelTable]
    SCENERY: str

    def find_root(self, folder: Path) -> Path: ...
    def pairs(self, root: Path, view: str) -> list[Pair]: ...
    def unpaired(self, root: Path, view: str) -> list[Path]: ...
    def fabricate(self, root: Path, scenes: Iterable[Scene]) -> None: ...


def opened(name: str, layout: Mapping[str, Any]) -> Dataset:
    """The dataset file of that name, told the layout if it asks for one."""
    dataset: Dataset = components.dataset(name, layout)
    return dataset


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """RGB [H, W, 3] or class ids [H, W], uint8, in the format of the path's ending."""
    import cv2

    in_order = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    settings = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 1], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95]}
    if not cv2.imwrite(str(path), in_order, settings.get(path.suffix, [])):
        raise OSError(f"{path} could not be written: a writable disk was expected. Free some space and run again")
