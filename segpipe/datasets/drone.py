"""400 photographs of gardens and streets from a drone that looks straight down, with five classes or two.

Facts
    Source      TU Graz' Semantic Drone Dataset, regrouped and published on Kaggle: https://www.kaggle.com/datasets/
                santurini/semantic-segmentation-drone-dataset. The original has 24 ids; the groupings are below
    Images      400 PNG, RGB, each of a place of its own; no official split
    Masks       PNG of class ids, of the same name as the image
    Layout      classes_dataset/classes_dataset/{original_images,label_images_semantic}/NNN.png   five classes
                binary_dataset/binary_dataset/{original_images,images_semantic}/NNN.png           two classes
                Copies differ in how often the folders are nested, so that the root is found by its content
    Caution     the published grouping into two classes forgets the original ids 21, 22 and 23 (marker, obstacle,
                conflicting). What the published masks hold there is unknown: the tables know the ids of the classes
                and no others, so that the audit fails on a forgotten id, naming it and the files
    Fabricated  scenes regrouped by the same rules. The forgotten ids stay as they are in the binary masks; the aerial
                scenery draws none of them
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from segpipe.datasets import Pair, Scene, write_picture
from segpipe.labels import Label, LabelTable

LICENCE = "TU Graz Semantic Drone Dataset: see its terms (non-commercial research)"
KAGGLE = "santurini/semantic-segmentation-drone-dataset"
SCENERY = "aerial"
NOTES = (
    "the published grouping into two classes forgets the original ids 21, 22 and 23 (marker, obstacle, conflicting)",
)

RAW_IDS = {
    "drone_5": {0: "obstacles", 1: "water", 2: "soft-surfaces", 3: "moving-objects", 4: "landing-zones"},
    "drone_binary": {0: "obstacles", 1: "landing-zones"},
}
"""What the masks are meant to hold. An id that was forgotten is no part of it, so that the audit reports it."""

COLORS = {
    "obstacles": (214, 69, 65),
    "water": (44, 110, 196),
    "soft-surfaces": (92, 158, 72),
    "moving-objects": (242, 190, 54),
    "landing-zones": (172, 164, 186),
}

VIEWS = {
    view: LabelTable(view, tuple(Label(name, COLORS[name], (i,)) for i, name in names.items())).total_over(names)
    for view, names in RAW_IDS.items()
}

GROUPS_5 = ((0, 6, 10, 11, 12, 13, 14, 21, 22, 23), (5, 7), (2, 3, 8, 19, 20), (15, 16, 17, 18), (1, 4, 9))
"""The ids of the 24-name vocabulary by their class in `drone_5`, as published."""

GROUPS_BINARY = ((0, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20), (1, 2, 3, 4, 9))
"""The same for `drone_binary`."""

FORGOTTEN = (21, 22, 23)
"""The ids that the published binary grouping does not mention."""

IMAGES = "original_images"
MASKS = {"drone_5": "label_images_semantic", "drone_binary": "images_semantic"}
HOMES = {"drone_5": "classes_dataset/classes_dataset", "drone_binary": "binary_dataset/binary_dataset"}
GROUPS = {"drone_5": GROUPS_5, "drone_binary": GROUPS_BINARY}


def find_root(folder: Path) -> Path:
    """The innermost folder that holds all views that are there."""
    homes = [home for view in VIEWS if (home := _home(folder, view))]
    if not homes:
        raise FileNotFoundError(
            f"{folder} holds no folder '{IMAGES}' with '{MASKS['drone_5']}' or '{MASKS['drone_binary']}' beside it. "
            f"The unpacked Kaggle dataset {KAGGLE} was expected: correct the path in params.yaml, or get it anew"
        )
    return Path(os.path.commonpath(homes))


def pairs(root: Path, view: str) -> list[Pair]:
    """Each image that has a mask, by name; every photograph stands alone."""
    images, masks = _files(root, view)
    return [Pair(stem, stem, images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())]


def unpaired(root: Path, view: str) -> list[Path]:
    """The images without a mask, and the masks without an image."""
    images, masks = _files(root, view)
    return [(images | masks)[stem] for stem in sorted(images.keys() ^ masks.keys())]


def fabricate(root: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes, whose things are the 24 original ids, as both views."""
    for view, home in HOMES.items():
        for name in (IMAGES, MASKS[view]):
            (root / home / name).mkdir(parents=True)
    for number, scene in enumerate(scenes):
        for view, home in HOMES.items():
            write_picture(root / home / IMAGES / f"{number:03d}.png", scene.image)
            write_picture(root / home / MASKS[view] / f"{number:03d}.png", _grouping(GROUPS[view])[scene.things])


def _home(folder: Path, view: str) -> Path | None:
    """The folder that holds the view's images and masks; the outermost, where a copy holds it twice."""
    homes = [images.parent for images in folder.rglob(IMAGES) if (images.parent / MASKS[view]).is_dir()]
    return min(homes, key=lambda home: (len(home.parts), home), default=None)


def _files(root: Path, view: str) -> tuple[dict[str, Path], dict[str, Path]]:
    home = _home(root, view)
    if home is None:
        raise FileNotFoundError(
            f"{root} has no masks for the view '{view}': a folder '{MASKS[view]}' beside '{IMAGES}' was expected. "
            "Add that half of the dataset, or choose the other view"
        )
    images, masks = ({path.stem: path for path in (home / name).glob("*.png")} for name in (IMAGES, MASKS[view]))
    return images, masks


def _grouping(groups: Iterable[tuple[int, ...]]) -> np.ndarray:
    """Raw id by original id: [256] uint8. An id that no rule names stays as it is."""
    table = np.arange(256, dtype=np.uint8)
    for raw_id, members in enumerate(groups):
        table[list(members)] = raw_id
    return table
