"""Cityscapes: its layout, its two views of 34 raw ids, and what must be left alone in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery.street import THINGS, scenes
from segpipe.datasets.cityscapes import RAW_IDS, VIEWS, fabricate, find_root, pairs, unpaired
from segpipe.labels import IGNORE

SIZE = (48, 96)

V = IGNORE
TRAIN_IDS = [
    V,
    V,
    V,
    V,
    V,
    V,
    V,
    0,
    1,
    V,
    V,
    2,
    3,
    4,
    V,
    V,
    V,
    5,
    V,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    V,
    V,
    16,
    17,
    18,
]
"""The benchmark's train ids of the raw ids 0 to 33; V: void."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fabricate(tmp_path / "set", scenes(seed=5, count=6, size=SIZE))
    return tmp_path / "set"


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _blank(sequences: Iterable[int], frames: int = 1) -> list[Scene]:
    image, mask = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)
    return [Scene(image, mask, sequence, frame) for sequence in sequences for frame in range(frames)]


def _add(path: Path, content: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_the_layout_is_the_published_one(root: Path) -> None:
    places = ["train/aachen/aachen_000000_000019", "val/frankfurt/frankfurt_000001_000019"]
    places += [f"train/aachen/aachen_00000{number}_000019" for number in range(2, 6)]
    assert _files(root) == sorted(
        [f"leftImg8bit/{place}_leftImg8bit.png" for place in places]
        + [f"gtFine/{place}_gtFine_labelIds.png" for place in places]
    )


def test_a_pair_knows_its_city_and_its_official_split(root: Path) -> None:
    assert [(pair.name, pair.group, pair.official_split) for pair in pairs(root, "cityscapes_19")][3:] == [
        ("aachen_000004_000019", "aachen", "train"),
        ("aachen_000005_000019", "aachen", "train"),
        ("frankfurt_000001_000019", "frankfurt", "val"),
    ]


def test_images_are_rgb_and_masks_are_grey_with_the_raw_ids(root: Path) -> None:
    drawn = {f"{scene.sequence:06d}": scene for scene in scenes(seed=5, count=6, size=SIZE)}
    for pair in pairs(root, "cityscapes_20"):
        image, mask = Image.open(pair.image), Image.open(pair.mask)
        assert (image.mode, mask.mode) == ("RGB", "L")
        scene = drawn[pair.name.split("_")[1]]
        assert np.array_equal(np.asarray(image), scene.image)
        assert np.array_equal(np.asarray(mask), scene.things)


def test_the_raw_ids_are_what_the_scenery_draws() -> None:
    assert tuple(RAW_IDS.values()) == THINGS
    assert list(RAW_IDS) == list(range(34))


def test_each_raw_id_becomes_its_train_id_and_void_is_ignored_or_the_last_class() -> None:
    raw = np.arange(34, dtype=np.uint8)
    assert VIEWS["cityscapes_19"].remap(raw, "all").tolist() == TRAIN_IDS
    assert VIEWS["cityscapes_20"].remap(raw, "all").tolist() == [19 if i == V else i for i in TRAIN_IDS]
    assert VIEWS["cityscapes_20"].class_names[::19] == ["road", "void"]
    assert VIEWS["cityscapes_20"].class_names[:19] == VIEWS["cityscapes_19"].class_names


def test_both_views_read_the_same_masks(root: Path) -> None:
    assert pairs(root, "cityscapes_19") == pairs(root, "cityscapes_20")


def test_val_gets_one_scene_of_five_and_cities_of_its_own(tmp_path: Path) -> None:
    fabricate(tmp_path, _blank(range(60)))
    listed = pairs(tmp_path, "cityscapes_19")
    cities = {split: {pair.group for pair in listed if pair.official_split == split} for split in ("train", "val")}
    assert [sum(pair.official_split == split for pair in listed) for split in ("train", "val")] == [48, 12]
    assert (len(cities["train"]), len(cities["val"])) == (6, 3)
    assert not cities["train"] & cities["val"]


def test_two_scenes_are_enough_for_train_and_val(tmp_path: Path) -> None:
    fabricate(tmp_path, _blank(range(2)))
    assert [pair.official_split for pair in pairs(tmp_path, "cityscapes_19")] == ["train", "val"]


def test_all_frames_of_a_sequence_go_to_one_city(tmp_path: Path) -> None:
    fabricate(tmp_path, _blank(range(3), frames=2))
    assert [pair.name for pair in pairs(tmp_path, "cityscapes_19")] == [
        "aachen_000000_000019",
        "aachen_000000_000020",
        "aachen_000002_000019",
        "aachen_000002_000020",
        "frankfurt_000001_000019",
        "frankfurt_000001_000020",
    ]


def test_other_files_of_the_archives_are_left_alone(root: Path) -> None:
    before = pairs(root, "cityscapes_19")
    for ending in ("color.png", "instanceIds.png", "polygons.json", "labelTrainIds.png"):
        _add(root / f"gtFine/train/aachen/aachen_000000_000019_gtFine_{ending}")
    _add(root / "leftImg8bit/train_extra/augsburg/augsburg_000000_000000_leftImg8bit.png")
    _add(root / "README")
    assert pairs(root, "cityscapes_19") == before
    assert unpaired(root, "cityscapes_19") == []


def test_test_images_are_no_pairs_even_where_masks_without_labels_lie_beside_them(root: Path) -> None:
    before = pairs(root, "cityscapes_20")
    _add(root / "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png")
    _add(root / "leftImg8bit/test/berlin/berlin_000001_000019_leftImg8bit.png")
    _add(root / "gtFine/test/berlin/berlin_000000_000019_gtFine_labelIds.png")
    assert pairs(root, "cityscapes_20") == before
    assert unpaired(root, "cityscapes_20") == []


def test_a_missing_partner_is_named_and_the_others_are_paired(root: Path) -> None:
    first, *others, last = pairs(root, "cityscapes_20")
    first.mask.unlink()
    last.image.unlink()
    assert pairs(root, "cityscapes_20") == others
    assert unpaired(root, "cityscapes_20") == [first.image, last.mask]


def test_two_archives_unpacked_beside_each_other_are_found(root: Path, tmp_path: Path) -> None:
    for folder in ("leftImg8bit", "gtFine"):
        (tmp_path / "both" / f"{folder}_trainvaltest").mkdir(parents=True)
        (root / folder).rename(tmp_path / "both" / f"{folder}_trainvaltest" / folder)
    found = find_root(tmp_path / "both")
    assert found == tmp_path / "both"
    assert len(pairs(found, "cityscapes_19")) == 6


def test_half_of_the_download_is_refused_with_the_name_of_the_other_half(root: Path) -> None:
    (root / "gtFine").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"no folder 'gtFine' .* gtFine_trainvaltest\.zip"):
        find_root(root)
