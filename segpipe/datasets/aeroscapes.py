"""Frames of 141 drone flights, oblique and close to the ground, in twelve classes (S0 and S4).

Facts
    Source      Nigam, Huang and Ramanan, "Ensemble Knowledge Transfer for Semantic Segmentation", WACV 2018; on Kaggle:
                https://www.kaggle.com/datasets/kooaslansefat/uav-segmentation-aeroscapes
    Licence     stands on that page; the authors' own page, https://github.com/ishann/aeroscapes, names none
    Images      3269 JPEG of 1280x720, RGB. The first six digits of a name are the flight, the last three the frame
    Masks       PNG of the same name, mode L, with the ids 0 to 11 and no others
    Layout      JPEGImages/NNNNNN_MMM.jpg, SegmentationClass/NNNNNN_MMM.png, ImageSets/trn.txt (2621 names without an
                ending), ImageSets/val.txt (648). Copies hold it in a folder `aeroscapes`, or in two, or in none: the
                root is found by its content
    Classes     often called eleven, since background is not counted; there are twelve ids. Things that move are rare:
                person 0.43 % of the pixels, animal 0.07 %, bike 0.06 %, drone 0.03 %, boat 0.02 %
    Splits      the lists. They part flights: frames of one flight train and validate, which the audit reports;
                `split: {kind: official, held_out: 0.1}` validates on whole flights and keeps val.txt for the test
    Fabricated  flights of 2 or 3 frames, listed by whole flights, the second of every five in val.txt: with parted
                ones a model that knows its training frames by heart would look good in the demo
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from segpipe.datasets import Pair, Scene, write_picture
from segpipe.labels import Label, LabelTable

LICENCE = "AeroScapes: the licence on https://www.kaggle.com/datasets/kooaslansefat/uav-segmentation-aeroscapes"
KAGGLE = "kooaslansefat/uav-segmentation-aeroscapes"
SCENERY = "flight"

COLORS = {
    "background": (84, 84, 92),
    "person": (224, 49, 92),
    "bike": (150, 208, 60),
    "car": (48, 104, 224),
    "drone": (250, 232, 90),
    "boat": (36, 204, 204),
    "animal": (158, 92, 44),
    "obstacle": (245, 140, 30),
    "construction": (146, 82, 168),
    "vegetation": (52, 128, 60),
    "road": (176, 172, 180),
    "sky": (150, 202, 242),
}
RAW_IDS = dict(enumerate(COLORS))

LABELS = tuple(Label(name, COLORS[name], (raw_id,)) for raw_id, name in RAW_IDS.items())

VIEWS = {
    "aeroscapes_12": LabelTable("aeroscapes_12", LABELS).total_over(RAW_IDS),
    "aeroscapes_11": LabelTable("aeroscapes_11", LABELS[1:], ignored=(0,)).total_over(RAW_IDS),
}

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets"
LIST_OF = {"train": "trn.txt", "val": "val.txt"}


def find_root(folder: Path) -> Path:
    """The folder that holds images, masks and lists; the outermost, where a copy holds it twice."""
    homes = [images.parent for images in folder.rglob(IMAGES) if (images.parent / MASKS).is_dir()]
    if not homes:
        raise FileNotFoundError(
            f"{folder} holds no folder '{IMAGES}' with '{MASKS}' beside it. "
            f"The unpacked Kaggle dataset {KAGGLE} was expected: correct the path in params.yaml, or get it anew"
        )
    return min(homes, key=lambda home: (len(home.parts), home))


def pairs(root: Path, view: str) -> list[Pair]:  # noqa: ARG001 - both views read the same masks
    """Each image that has a mask, by name, with its flight and the list that it is in."""
    images, masks = _files(root)
    listed = _listed(root, images.keys() | masks.keys())
    return [
        Pair(stem, stem.partition("_")[0], images[stem], masks[stem], listed.get(stem))
        for stem in sorted(images.keys() & masks.keys())
    ]


def unpaired(root: Path, view: str) -> list[Path]:  # noqa: ARG001
    """The images without a mask, and the masks without an image."""
    images, masks = _files(root)
    return [(images | masks)[stem] for stem in sorted(images.keys() ^ masks.keys())]


def fabricate(root: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes, whose things are the twelve ids, with lists of whole flights."""
    for name in (IMAGES, MASKS, LISTS):
        (root / name).mkdir(parents=True)
    listed: dict[str, list[str]] = {split: [] for split in LIST_OF}
    for scene in scenes:
        stem = f"{scene.sequence + 1:06d}_{scene.frame + 1:03d}"
        write_picture(root / IMAGES / f"{stem}.jpg", scene.image)
        write_picture(root / MASKS / f"{stem}.png", scene.things)
        listed["val" if scene.sequence % 5 == 1 else "train"].append(stem)
    for split, stems in listed.items():
        (root / LISTS / LIST_OF[split]).write_text("".join(f"{stem}\n" for stem in stems), "utf-8", newline="\n")


def _files(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    images = {path.stem: path for path in (root / IMAGES).glob("*.jpg")}
    masks = {path.stem: path for path in (root / MASKS).glob("*.png")}
    return images, masks


def _listed(root: Path, there: set[str]) -> dict[str, str]:
    """The official split by name."""
    lists = {split: root / LISTS / name for split, name in LIST_OF.items()}
    names = {split: path.read_text("utf-8").split() if path.is_file() else [] for split, path in lists.items()}
    for split, listed in names.items():
        if lost := [name for name in listed if name not in there]:
            raise FileNotFoundError(
                f"{lists[split]} names {', '.join(lost[:3])}{' …' * (len(lost) > 3)} ({len(lost)} in all), of which "
                f"there is neither image nor mask. Every listed name needs both: get the dataset anew, or mend the list"
            )
    if both := sorted(set(names["train"]) & set(names["val"])):
        raise ValueError(
            f"{lists['train'].name} and {lists['val'].name} in {root / LISTS} both name {', '.join(both[:3])} "
            f"({len(both)} in all). A frame trains or validates: take it from one of the lists"
        )
    return {name: split for split, listed in names.items() for name in listed}
