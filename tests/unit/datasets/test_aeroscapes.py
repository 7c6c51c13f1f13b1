"""The AeroScapes dataset: its layout, its lists, and the flights that must not be parted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery.flight import THINGS
from segpipe.datasets.aeroscapes import RAW_IDS, VIEWS, fabricate, find_root, pairs, unpaired
from segpipe.params.schema import OfficialSplit
from segpipe.preparation.splits import assign

FRAMES = ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))
"""Sequence and frame of five scenes: the second flight goes to val."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    drawn = [
        Scene(np.full((9, 16, 3), 40 * k, np.uint8), np.full((9, 16), k, np.uint8), *place)
        for k, place in enumerate(FRAMES)
    ]
    fabricate(tmp_path / "set", drawn)
    return tmp_path / "set"


def _in_list(root: Path, name: str) -> list[str]:
    return (root / "ImageSets" / name).read_text().splitlines()


def test_the_layout_is_the_published_one(root: Path) -> None:
    stems = ["000001_001", "000001_002", "000002_001", "000002_002", "000003_001"]
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*.*")) == [
        "ImageSets/trn.txt",
        "ImageSets/val.txt",
        *(f"JPEGImages/{stem}.jpg" for stem in stems),
        *(f"SegmentationClass/{stem}.png" for stem in stems),
    ]
    assert _in_list(root, "trn.txt") == ["000001_001", "000001_002", "000003_001"]
    assert _in_list(root, "val.txt") == ["000002_001", "000002_002"]


def test_images_are_colour_jpeg_and_masks_are_grey_with_the_ids_as_they_are(root: Path) -> None:
    for k, pair in enumerate(pairs(root, "aeroscapes_12")):
        image, mask = Image.open(pair.image), Image.open(pair.mask)
        assert (image.format, image.mode, mask.format, mask.mode) == ("JPEG", "RGB", "PNG", "L")
        assert set(np.asarray(mask).ravel().tolist()) == {k}
        assert np.abs(np.asarray(image).astype(int) - 40 * k).max() <= 2


def test_the_names_are_those_of_the_scenery_that_draws_them() -> None:
    assert tuple(RAW_IDS.values()) == THINGS


def test_background_is_a_class_in_one_view_and_ignored_in_the_other() -> None:
    twelve, eleven = VIEWS["aeroscapes_12"], VIEWS["aeroscapes_11"]
    assert twelve.remap(np.arange(12, dtype=np.uint8)[None], "all").tolist() == [list(range(12))]
    assert eleven.remap(np.arange(12, dtype=np.uint8)[None], "all").tolist() == [[255, *range(11)]]
    assert eleven.class_names == twelve.class_names[1:]
    assert [label.color for label in eleven.classes] == [label.color for label in twelve.classes[1:]]


def test_colours_of_classes_are_far_enough_apart_to_be_told_from_each_other() -> None:
    colors = VIEWS["aeroscapes_12"].colors.astype(int)
    apart = np.abs(colors[:, None] - colors[None]).sum(2)
    assert apart[~np.eye(12, dtype=bool)].min() >= 80


def test_groups_are_flights_and_splits_are_the_lists(root: Path) -> None:
    assert [(pair.name, pair.group, pair.official_split) for pair in pairs(root, "aeroscapes_11")] == [
        ("000001_001", "000001", "train"),
        ("000001_002", "000001", "train"),
        ("000002_001", "000002", "val"),
        ("000002_002", "000002", "val"),
        ("000003_001", "000003", "train"),
    ]


def test_lists_may_part_a_flight_as_the_published_ones_do(root: Path) -> None:
    (root / "ImageSets" / "trn.txt").write_text("000001_001\n000003_001\n")
    (root / "ImageSets" / "val.txt").write_text("000001_002\n000002_001\n000002_002\n")
    parted = [pair.official_split for pair in pairs(root, "aeroscapes_12") if pair.group == "000001"]
    assert parted == ["train", "val"]


@pytest.mark.parametrize("text", ["000002_001\r\n000002_002\r\n", "\n 000002_001 \n\n000002_002"])
def test_lists_are_read_with_any_line_ends_and_blank_lines(root: Path, text: str) -> None:
    (root / "ImageSets" / "val.txt").write_bytes(text.encode())
    assert [pair.name for pair in pairs(root, "aeroscapes_12") if pair.official_split == "val"] == [
        "000002_001",
        "000002_002",
    ]


def test_an_image_in_no_list_has_no_split_and_the_split_names_it_with_the_cure(root: Path) -> None:
    (root / "ImageSets" / "trn.txt").write_text("000001_001\n000003_001\n")
    found = {pair.name: pair.official_split for pair in pairs(root, "aeroscapes_12")}
    assert found["000001_002"] is None
    with pytest.raises(ValueError, match=r"000001_002\.jpg has the official split None.*complete its lists"):
        assign(pairs(root, "aeroscapes_12"), OfficialSplit(kind="official"), 0)


def test_a_copy_without_lists_has_pairs_and_no_splits(root: Path) -> None:
    for name in ("trn.txt", "val.txt"):
        (root / "ImageSets" / name).unlink()
    assert [pair.official_split for pair in pairs(root, "aeroscapes_12")] == [None] * 5


def test_a_list_that_names_what_is_not_there_is_an_error_with_the_names(root: Path) -> None:
    with (root / "ImageSets" / "val.txt").open("a") as file:
        file.write("000009_001\n000009_002\n000009_003\n000009_004\n")
    with pytest.raises(FileNotFoundError, match=r"val\.txt names 000009_001, 000009_002, 000009_003 … \(4 in all\)"):
        pairs(root, "aeroscapes_12")


def test_a_name_in_both_lists_is_an_error(root: Path) -> None:
    with (root / "ImageSets" / "val.txt").open("a") as file:
        file.write("000003_001\n")
    with pytest.raises(ValueError, match=r"trn\.txt and val\.txt in .* both name 000003_001 \(1 in all\)"):
        pairs(root, "aeroscapes_12")


def test_a_missing_partner_is_reported_though_a_list_names_it(root: Path) -> None:
    first, second, *rest = pairs(root, "aeroscapes_12")
    first.mask.unlink()
    second.image.unlink()
    assert pairs(root, "aeroscapes_12") == rest
    assert unpaired(root, "aeroscapes_12") == [first.image, second.mask]


@pytest.mark.parametrize("wrapping", ["", "aeroscapes", "aeroscapes/aeroscapes", "archive (1)/Æro scapes"])
def test_the_root_is_found_under_any_wrapping(root: Path, tmp_path: Path, wrapping: str) -> None:
    inner = tmp_path / "outer" / wrapping
    inner.parent.mkdir(parents=True, exist_ok=True)
    root.rename(inner)
    assert find_root(tmp_path / "outer") == inner
    assert len(pairs(inner, "aeroscapes_12")) == 5


def test_a_folder_of_images_without_masks_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "holiday" / "JPEGImages").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="holiday holds no folder 'JPEGImages' with 'SegmentationClass'"):
        find_root(tmp_path / "holiday")


def test_fabricated_lists_take_whole_flights_and_every_fifth_to_val(tmp_path: Path) -> None:
    frames = [(flight, frame) for flight in range(8) for frame in range(2)]
    blank = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    fabricate(tmp_path, [Scene(*blank, *place) for place in frames])
    splits = {(pair.group, pair.official_split) for pair in pairs(tmp_path, "aeroscapes_12")}
    assert len(splits) == 8
    assert {group for group, split in splits if split == "val"} == {"000002", "000007"}
