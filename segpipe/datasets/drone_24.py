"""The same 400 photographs as `drone`, in their original 24 ids and full size, grouped here into five classes or two.

Facts
    Source      TU Graz' Semantic Drone Dataset, http://dronedataset.icg.tugraz.at, as it is on Kaggle:
                https://www.kaggle.com/datasets/bulentsiyah/semantic-drone-dataset
    Licence     non-commercial use; the images, or modified versions of them, may not be passed on
    Images      400 JPEG of 6000x4000, RGB, taken straight down from 5 to 30 metres; no official split
    Masks       PNG of class ids 0 to 23, of the same name as the image
    Layout      dataset/semantic_drone_dataset/{original_images/NNN.jpg,label_images_semantic/NNN.png}; the folders vary
                between copies, so that the root is found by its content. A folder of colour-coded masks beside it is
                not read
    Caution     the published grouping into two classes forgets the ids 21, 22 and 23 (marker, obstacle, conflicting):
                they are ignored here. The grouping into five counts them among the obstacles
    Fabricated  scenes with the ids as they are; the aerial scenery draws none of the forgotten ones
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from segpipe.datasets import Pair, Scene, drone, write_picture
from segpipe.labels import LabelTable

LICENCE = "TU Graz Semantic Drone Dataset: non-commercial use, its terms at http://dronedataset.icg.tugraz.at"
KAGGLE = "bulentsiyah/semantic-drone-dataset"
SCENERY = "aerial"
NOTES = drone.NOTES

NAMES = (
    "unlabeled", "paved-area", "dirt", "grass", "gravel", "water", "rocks", "pool", "vegetation", "roof", "wall",
    "window", "door", "fence", "fence-pole", "person", "dog", "car", "bicycle", "tree", "bald-tree", "ar-marker",
    "obstacle", "conflicting",
)  # fmt: skip
RAW_IDS = dict(enumerate(NAMES))


def _grouped(view: str, ignored: tuple[int, ...] = ()) -> LabelTable:
    """The classes of `drone`, each meant by the original ids that were grouped into it."""
    labels = zip(drone.VIEWS[view].classes, drone.GROUPS[view], strict=True)
    classes = tuple(replace(label, raw_ids=members) for label, members in labels)
    return LabelTable(view, classes, ignored).total_over(RAW_IDS)


VIEWS = {"drone_5": _grouped("drone_5"), "drone_binary": _grouped("drone_binary", ignored=drone.FORGOTTEN)}

HOME, IMAGES, MASKS = "dataset/semantic_drone_dataset", "original_images", "label_images_semantic"


def find_root(folder: Path) -> Path:
    """The folder that holds images and masks; the outermost, where a copy holds it twice."""
    homes = [images.parent for images in folder.rglob(IMAGES) if (images.parent / MASKS).is_dir()]
    originals = [home for home in homes if any((home / IMAGES).glob("*.jpg"))]
    if not originals:
        raise FileNotFoundError(
            f"{folder} holds no folder '{IMAGES}' of JPEG files with '{MASKS}' beside it. The unpacked Kaggle dataset "
            f"{KAGGLE} was expected (the regrouped one, of PNG files, is the dataset 'drone'): "
            "correct the path in params.yaml, or get it anew"
        )
    return min(originals, key=lambda home: (len(home.parts), home))


def pairs(root: Path, view: str) -> list[Pair]:  # noqa: ARG001 - both views read the same masks
    """Each image that has a mask, by name; every photograph stands alone."""
    images, masks = _files(root)
    return [Pair(stem, stem, images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())]


def unpaired(root: Path, view: str) -> list[Path]:  # noqa: ARG001
    """The images without a mask, and the masks without an image."""
    images, masks = _files(root)
    return [(images | masks)[stem] for stem in sorted(images.keys() ^ masks.keys())]


def fabricate(root: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes, whose things are the 24 ids."""
    for name in (IMAGES, MASKS):
        (root / HOME / name).mkdir(parents=True)
    for number, scene in enumerate(scenes):
        write_picture(root / HOME / IMAGES / f"{number:03d}.jpg", scene.image)
        write_picture(root / HOME / MASKS / f"{number:03d}.png", scene.things)


def _files(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    images = {path.stem: path for path in (root / IMAGES).glob("*.jpg")}
    masks = {path.stem: path for path in (root / MASKS).glob("*.png")}
    return images, masks
