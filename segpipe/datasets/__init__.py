"""The datasets, one file each: a fact sheet in the docstring, then what the pipeline needs to know.

A dataset file offers

    LICENCE    one line: the terms that its users accept
    KAGGLE     the Kaggle name `owner/dataset`, where there is one
    VIEWS      label tables by name; each view reads its own masks
    SCENERY    what a fabricated scene shows: `aerial` (segpipe/acquisition/aerial.py)
    NOTES      what is known to be wrong with the published data: the audit repeats it (optional)
    find_root(folder)           where the dataset begins, under any number of wrapping folders
    pairs(root, view)           every image with its mask, without opening either
    unpaired(root, view)        images without a mask, and masks without an image
    fabricate(root, scenes)     write scenes (image, things) in the exact layout and encoding of the real dataset
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """An image and its mask. `group` holds images that must not be separated (a sequence, a place)."""

    name: str
    group: str
    image: Path
    mask: Path
    official_split: str | None = None
