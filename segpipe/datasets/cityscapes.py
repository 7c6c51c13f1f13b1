"""5000 finely annotated photographs of streets in 27 cities in and around Germany: 19 classes, or 20 counting void.

Facts
    Source      https://www.cityscapes-dataset.com, with an account: leftImg8bit_trainvaltest.zip and
                gtFine_trainvaltest.zip. `kind: cityscapes` gets both; `kind: folder` takes what is unpacked already
    Images      2975 train, 500 val and 1525 test PNG, RGB, 2048x1024, from the windscreen of one car. Each split has
                cities of its own, so that a city is a group
    Masks       PNG of label ids 0..33; -1, the licence plate, is not drawn in the files: its vehicle is
    Layout      leftImg8bit/{train,val,test}/<city>/<city>_NNNNNN_NNNNNN_leftImg8bit.png      sequence, frame
                gtFine/{train,val,test}/<city>/<city>_NNNNNN_NNNNNN_gtFine_labelIds.png
                gtFine also has *_color.png, *_instanceIds.png and *_polygons.json: they are left alone
    Test        its labels are not public. The archive has masks for it, with nothing but the own vehicle and the
                borders: neither they nor the test images are read
    Views       cityscapes_19 ignores void, as the official benchmark does; cityscapes_20 learns it as a class of its
                own, so that its mIoU is no benchmark's
    Fabricated  train and val, four to one, each in cities of its own; no test, for nothing reads it. Where few scenes
                are asked for, there are fewer cities
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from segpipe.datasets import Pair, Scene, write_picture
from segpipe.labels import Label, LabelTable

LICENCE = (
    "Cityscapes terms of use: non-commercial; neither the data nor modified versions of it may be redistributed; "
    "models trained on it may be shared non-commercially"
)
SCENERY = "street"
NOTES = (
    "the masks of the test split hold only the own vehicle and the borders: train and val are read, test is not",
    "long recordings have many frames of one street: only a split by city keeps such near-twins together",
    "licence plates have no id in the masks: they count as the vehicle that bears them",
)

RAW_IDS = dict(
    enumerate(
        (
            "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road",
            "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
            "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car",
            "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle",
        )
    )
)  # fmt: skip

COLORS = {
    7: (128, 64, 128),
    8: (244, 35, 232),
    11: (70, 70, 70),
    12: (102, 102, 156),
    13: (190, 153, 153),
    17: (153, 153, 153),
    19: (250, 170, 30),
    20: (220, 220, 0),
    21: (107, 142, 35),
    22: (152, 251, 152),
    23: (70, 130, 180),
    24: (220, 20, 60),
    25: (255, 0, 0),
    26: (0, 0, 142),
    27: (0, 0, 70),
    28: (0, 60, 100),
    31: (0, 80, 100),
    32: (0, 0, 230),
    33: (119, 11, 32),
}
"""The official colours of the 19 classes, by raw id, in the order of their class ids."""

CLASSES = tuple(Label(RAW_IDS[raw_id], color, (raw_id,)) for raw_id, color in COLORS.items())
VOID = tuple(raw_id for raw_id in RAW_IDS if raw_id not in COLORS)

VIEWS = {
    "cityscapes_19": LabelTable("cityscapes_19", CLASSES, ignored=VOID).total_over(RAW_IDS),
    "cityscapes_20": LabelTable("cityscapes_20", (*CLASSES, Label("void", (0, 0, 0), VOID))).total_over(RAW_IDS),
}

IMAGES, MASKS = "leftImg8bit", "gtFine"
IMAGE_ENDING = "_leftImg8bit.png"
MASK_ENDINGS = dict.fromkeys(VIEWS, "_gtFine_labelIds.png")
"""Both views read the same masks."""

SPLITS = ("train", "val")
CITIES = {
    "train": (
        "aachen", "bochum", "bremen", "cologne", "darmstadt", "dusseldorf", "erfurt", "hamburg", "hanover", "jena",
        "krefeld", "monchengladbach", "strasbourg", "stuttgart", "tubingen", "ulm", "weimar", "zurich",
    ),
    "val": ("frankfurt", "lindau", "munster"),
}  # fmt: skip

ANNOTATED = 19
"""The frame of a snippet that is annotated, where many short sequences were recorded."""


def find_root(folder: Path) -> Path:
    """The innermost folder that holds the images and the masks."""
    return Path(os.path.commonpath([_home(folder, name).parent for name in (IMAGES, MASKS)]))


def pairs(root: Path, view: str) -> list[Pair]:
    """Each image of train and val that has a mask, by name; a city is a group."""
    images, masks = _files(root, view)
    return [
        Pair(name, images[name].parent.name, images[name], masks[name], images[name].parents[1].name)
        for name in sorted(images.keys() & masks.keys())
    ]


def unpaired(root: Path, view: str) -> list[Path]:
    """The images of train and val without a mask, and the masks without an image."""
    images, masks = _files(root, view)
    return [(images | masks)[name] for name in sorted(images.keys() ^ masks.keys())]


def fabricate(root: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes, whose things are the raw ids, to train and val; a sequence stays in one city."""
    for scene in scenes:
        split = SPLITS[scene.sequence % 5 == 1]
        city = CITIES[split][scene.sequence // 10 % len(CITIES[split])]
        name = f"{city}_{scene.sequence:06d}_{ANNOTATED + scene.frame:06d}"
        for folder, ending, pixels in (
            (IMAGES, IMAGE_ENDING, scene.image),
            (MASKS, MASK_ENDINGS["cityscapes_19"], scene.things),
        ):
            home = root / folder / split / city
            home.mkdir(parents=True, exist_ok=True)
            write_picture(home / f"{name}{ending}", pixels)


def _home(folder: Path, name: str) -> Path:
    """The folder of that name that holds splits; the outermost, where a copy holds it twice."""
    homes = [home for home in folder.rglob(name) if any((home / split).is_dir() for split in SPLITS)]
    if not homes:
        raise FileNotFoundError(
            f"{folder} holds no folder '{name}' with 'train' or 'val' in it. What is in {name}_trainvaltest.zip of "
            "Cityscapes was expected: unpack it there, or correct the path in params.yaml"
        )
    return min(homes, key=lambda home: (len(home.parts), home))


def _files(root: Path, view: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """The images and the masks of train and val, by the part of their names that both share."""
    return _ending(_home(root, IMAGES), IMAGE_ENDING), _ending(_home(root, MASKS), MASK_ENDINGS[view])


def _ending(home: Path, ending: str) -> dict[str, Path]:
    found = (path for split in SPLITS for path in (home / split).glob(f"*/*{ending}"))
    return {path.name.removesuffix(ending): path for path in found}
