"""The original drone dataset: its layout, and the groupings of the regrouped one over its 24 ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.acquisition.scenery.aerial import THINGS, scenes
from segpipe.datasets import drone
from segpipe.datasets.drone_24 import NAMES, NOTES, VIEWS, fabricate, find_root, pairs, unpaired

HOME = "dataset/semantic_drone_dataset"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fabricate(tmp_path / "set", scenes(seed=5, count=3, size=(48, 64)))
    return tmp_path / "set" / HOME


def test_the_layout_is_the_one_on_kaggle(root: Path) -> None:
    files = sorted(str(path.relative_to(root.parents[1])) for path in root.rglob("*.*"))
    assert files == [
        *(f"{HOME}/label_images_semantic/00{number}.png" for number in range(3)),
        *(f"{HOME}/original_images/00{number}.jpg" for number in range(3)),
    ]


def test_images_are_colour_jpeg_and_masks_hold_the_ids_as_they_are(root: Path) -> None:
    for pair, scene in zip(pairs(root, "drone_5"), scenes(seed=5, count=3, size=(48, 64)), strict=True):
        image, mask = Image.open(pair.image), Image.open(pair.mask)
        assert (image.format, image.mode, mask.mode) == ("JPEG", "RGB", "L")
        assert np.array_equal(np.asarray(mask), scene.things)
        assert np.abs(np.asarray(image).astype(int) - scene.image).mean() < 12


def test_the_names_are_those_of_the_scenery_that_draws_them() -> None:
    assert NAMES == THINGS


def test_an_original_id_becomes_the_class_that_the_regrouped_files_hold() -> None:
    paved, water, grass, window, person = (NAMES.index(n) for n in ("paved-area", "water", "grass", "window", "person"))
    five, two = VIEWS["drone_5"], VIEWS["drone_binary"]
    assert [five.class_names[five.lookup()[i]] for i in (paved, water, grass, window, person)] == [
        "landing-zones",
        "water",
        "soft-surfaces",
        "obstacles",
        "moving-objects",
    ]
    assert [two.class_names[two.lookup()[i]] for i in (paved, water, grass, window, person)] == [
        "landing-zones",
        "obstacles",
        "landing-zones",
        "obstacles",
        "obstacles",
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_both_datasets_give_the_same_classes_for_the_same_scenes(root: Path, tmp_path: Path, view: str) -> None:
    drone.fabricate(tmp_path / "regrouped", scenes(seed=5, count=3, size=(48, 64)))
    for ours, theirs in zip(pairs(root, view), drone.pairs(tmp_path / "regrouped", view), strict=True):
        masks = (np.asarray(Image.open(ours.mask)), np.asarray(Image.open(theirs.mask)))
        assert np.array_equal(VIEWS[view].remap(masks[0], ours.name), drone.VIEWS[view].remap(masks[1], theirs.name))
    assert [label.color for label in VIEWS[view].classes] == [label.color for label in drone.VIEWS[view].classes]


def test_the_ids_that_the_published_map_forgets_are_ignored_in_the_binary_view_and_said() -> None:
    assert VIEWS["drone_binary"].ignored == (21, 22, 23)
    assert VIEWS["drone_5"].ignored == ()
    assert [VIEWS["drone_5"].lookup()[i] for i in (21, 22, 23)] == [0, 0, 0]
    assert "forgets the original ids 21, 22 and 23" in NOTES[0]


def test_every_one_of_the_24_ids_has_its_place() -> None:
    for table in VIEWS.values():
        assert table.known_raw_ids == set(range(24))


def test_the_root_is_found_under_any_wrapping(root: Path, tmp_path: Path) -> None:
    assert find_root(tmp_path) == root
    assert find_root(root) == root


def test_the_regrouped_copy_is_refused_with_the_name_of_its_own_dataset(tmp_path: Path) -> None:
    drone.fabricate(tmp_path / "regrouped", scenes(seed=5, count=1, size=(48, 64)))
    with pytest.raises(FileNotFoundError, match=r"regrouped holds no folder 'original_images' of JPEG.*'drone'"):
        find_root(tmp_path / "regrouped")


def test_a_missing_partner_is_reported_and_the_others_are_paired(root: Path) -> None:
    first, second, third = pairs(root, "drone_5")
    first.mask.unlink()
    third.image.unlink()
    assert pairs(root, "drone_5") == [second]
    assert unpaired(root, "drone_5") == [first.image, third.mask]


def test_each_photograph_is_a_group_of_its_own(root: Path) -> None:
    assert [(pair.group, pair.official_split) for pair in pairs(root, "drone_5")] == [
        ("000", None),
        ("001", None),
        ("002", None),
    ]
