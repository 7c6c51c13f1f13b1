"""The drone dataset: its layout, its views, and what is missing in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery.aerial import scenes
from segpipe.datasets.drone import FORGOTTEN, GROUPS_5, GROUPS_BINARY, VIEWS, fabricate, find_root, pairs, unpaired


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fabricate(tmp_path / "set", scenes(seed=5, count=3, size=(48, 64)))
    return tmp_path / "set"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _ids(mask: Path) -> np.ndarray:
    return np.asarray(Image.open(mask))


def test_the_layout_is_the_published_one(root: Path) -> None:
    assert sorted(_files(root)) == sorted(
        f"{folder}/{number:03d}.png"
        for folder in (
            "classes_dataset/classes_dataset/original_images",
            "classes_dataset/classes_dataset/label_images_semantic",
            "binary_dataset/binary_dataset/original_images",
            "binary_dataset/binary_dataset/images_semantic",
        )
        for number in range(3)
    )


def test_images_are_rgb_and_masks_are_grey_with_the_regrouped_ids(root: Path) -> None:
    for scene, five, two in zip(
        scenes(seed=5, count=3, size=(48, 64)), pairs(root, "drone_5"), pairs(root, "drone_binary"), strict=True
    ):
        for pair, groups in ((five, GROUPS_5), (two, GROUPS_BINARY)):
            image, mask = Image.open(pair.image), Image.open(pair.mask)
            assert (image.mode, mask.mode) == ("RGB", "L")
            assert np.array_equal(np.asarray(image), scene.image)
            for raw_id, members in enumerate(groups):
                assert np.array_equal(np.asarray(mask) == raw_id, np.isin(scene.things, members))


def test_the_same_seed_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    fabricate(tmp_path / "again", scenes(seed=5, count=3, size=(48, 64)))
    assert _files(tmp_path / "again") == _files(root)


@pytest.mark.parametrize("view", VIEWS)
def test_masks_hold_only_ids_that_the_label_table_knows(root: Path, view: str) -> None:
    for pair in pairs(root, view):
        VIEWS[view].remap(_ids(pair.mask), pair.name)


def test_the_groupings_name_every_id_once_but_for_the_forgotten_ones() -> None:
    assert sorted(sum(GROUPS_5, ())) == list(range(24))
    assert sorted(sum(GROUPS_BINARY, ()) + FORGOTTEN) == list(range(24))


def test_the_tables_know_the_ids_of_their_classes_and_no_others() -> None:
    assert VIEWS["drone_5"].known_raw_ids == {0, 1, 2, 3, 4}
    assert VIEWS["drone_binary"].known_raw_ids == {0, 1}
    assert VIEWS["drone_binary"].class_names == ["obstacles", "landing-zones"]


def test_a_forgotten_id_stays_in_the_binary_mask_for_the_audit_to_find(tmp_path: Path) -> None:
    things = np.array([[21, 22, 23, 1]], np.uint8)
    fabricate(tmp_path, [Scene(np.zeros((1, 4, 3), np.uint8), things, sequence=0)])
    ((five,), (two,)) = pairs(tmp_path, "drone_5"), pairs(tmp_path, "drone_binary")
    assert _ids(five.mask).tolist() == [[0, 0, 0, 4]]
    assert _ids(two.mask).tolist() == [[21, 22, 23, 1]]


def test_the_root_is_found_under_any_wrapping(root: Path, tmp_path: Path) -> None:
    wrapped = tmp_path / "outer" / "archive" / "drone"
    wrapped.parent.mkdir(parents=True)
    root.rename(wrapped)
    assert find_root(tmp_path) == wrapped
    assert [pair.name for pair in pairs(find_root(tmp_path), "drone_binary")] == ["000", "001", "002"]


def test_folders_that_are_not_doubled_are_found_too(root: Path) -> None:
    single = root.parent / "single"
    single.mkdir()
    for home in ("classes_dataset", "binary_dataset"):
        (root / home / home).rename(single / home)
    assert find_root(single) == single
    assert len(pairs(single, "drone_5")) == len(pairs(single, "drone_binary")) == 3


def test_half_of_the_dataset_serves_its_own_view_only(root: Path) -> None:
    half = find_root(root / "classes_dataset")
    assert len(pairs(half, "drone_5")) == 3
    with pytest.raises(FileNotFoundError, match="no masks for the view 'drone_binary'"):
        pairs(half, "drone_binary")


def test_a_folder_with_other_things_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(FileNotFoundError, match="holiday holds no folder 'original_images'"):
        find_root(tmp_path / "holiday")


def test_a_missing_partner_is_reported_and_the_others_are_paired(root: Path) -> None:
    missing_mask, missing_image = pairs(root, "drone_5")[0].mask, pairs(root, "drone_5")[2].image
    image_alone, mask_alone = pairs(root, "drone_5")[0].image, pairs(root, "drone_5")[2].mask
    missing_mask.unlink()
    missing_image.unlink()
    assert [pair.name for pair in pairs(root, "drone_5")] == ["001"]
    assert unpaired(root, "drone_5") == [image_alone, mask_alone]
    assert unpaired(root, "drone_binary") == []


def test_each_photograph_is_a_group_of_its_own(root: Path) -> None:
    assert [(pair.name, pair.group, pair.official_split) for pair in pairs(root, "drone_5")] == [
        ("000", "000", None),
        ("001", "001", None),
        ("002", "002", None),
    ]
