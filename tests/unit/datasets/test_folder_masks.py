"""The folder dataset: how masks of all kinds become classes, what the audit says of them, and what is fabricated."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe import artifacts
from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery.aerial import THINGS, scenes
from segpipe.datasets import Dataset, opened
from segpipe.datasets.folder import AERIAL_BUILDINGS
from segpipe.labels import IGNORE, UNMAPPED
from segpipe.params import ResolvedPrepared
from segpipe.preparation.audit import audit
from segpipe.preparation.manifest import PackedSplit
from segpipe.preparation.packing import pack
from segpipe.preparation.reading import read_raw_mask
from tests.unit.datasets.test_folder import TILES, folder, put

OFFICIAL = SimpleNamespace(kind="official", held_out=None)
OURS = SimpleNamespace(kind="shares", test=1, val=1)


def table_of(**layout: Any) -> Any:
    (table,) = folder(**layout).VIEWS.values()
    return table


def test_a_threshold_parts_two_classes() -> None:
    table = table_of(threshold=100)
    assert (table.name, table.class_names) == ("binary", ["background", "building"])
    assert table.lookup().tolist() == [0] * 101 + [1] * 155


def test_values_beside_a_threshold_may_be_ignored() -> None:
    assert table_of(threshold=0, ignored=[255, 0]).lookup().tolist() == [IGNORE] + [1] * 254 + [IGNORE]


def test_classes_have_their_ids_in_the_order_of_their_lines() -> None:
    layout = {"images": "a/*.png", "masks": "b/*.png", "labels": {"road": 7, "field": [3, 1]}, "ignored": [255]}
    (table,) = opened("folder", layout).VIEWS.values()
    assert (table.name, table.class_names) == ("classes", ["road", "field"])
    expected = [UNMAPPED] * 256
    expected[7], expected[3], expected[1], expected[255] = 0, 1, 1, IGNORE
    assert table.lookup().tolist() == expected


def test_display_colours_are_ones_own_or_those_that_are_still_free() -> None:
    labels = {f"class {i}": i for i in range(250)}
    layout = {"images": "a/*.png", "masks": "b/*.png", "labels": labels}
    (table,) = opened("folder", {**layout, "colors": {"class 1": "#a5a5a5"}}).VIEWS.values()
    colors = [label.color for label in table.classes]
    assert colors[1] == (165, 165, 165)
    assert len(set(colors)) == 250


# The audit, and what it is told


def picture(seed: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def audited(dataset: Dataset, raw: Path, split: Any) -> dict[str, Any]:
    """audit.json, also where the audit fails."""
    (raw / "source.json").write_text("{}")
    try:
        audit("own", dataset, list(dataset.VIEWS), split, 0, raw, raw.parent / "audit")
    except ValueError:
        assert json.loads((raw.parent / "audit/audit.json").read_text())["faults"]
    content: dict[str, Any] = json.loads((raw.parent / "audit/audit.json").read_text())
    return content


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGPIPE_WORKERS", "1")
    return tmp_path / "raw"


RED, GREEN, PINK, GREY = (255, 0, 0), (0, 255, 0), (255, 0, 255), (9, 9, 9)


def test_a_colour_that_no_class_has_is_told_with_its_pixels_and_files(raw: Path) -> None:
    """By hand: 24 x 32 = 768 pixels; 5 + 2 of pink in two files, 1 of grey in one."""
    for number in range(5):
        mask = np.full((24, 32, 3), GREEN, np.uint8)
        mask[:12] = RED
        if number in (1, 3):
            mask[0, : 5 if number == 1 else 2] = PINK
        if number == 3:
            mask[1, 0] = GREY
        save(raw / f"files/images/{number}.png", picture(number))
        save(raw / f"files/masks/{number}.png", mask)
    layout = {"images": "images/*.png", "masks": "masks/*.png", "labels": {"land": "#00ff00", "roof": "#FF0000"}}
    report = audited(opened("folder", layout), raw, OURS)
    assert report["faults"] == [
        {
            "check": "raw ids",
            "message": "colours that label table 'classes' neither maps nor ignores: "
            "#ff00ff (7 pixels in 2 files, first masks/1.png), #090909 (1 pixels in 1 file, first masks/3.png). "
            "Add them to the dataset's `layout:` in params.yaml",
            "files": ["files/masks/1.png", "files/masks/3.png"],
        }
    ]
    assert report["views"]["classes"]["raw_ids"] == {
        "#00ff00": {"pixels": 5 * 384, "files": 5, "means": "land"},
        "#ff0000": {"pixels": 5 * 384 - 8, "files": 5, "means": "roof"},
        "#ff00ff": {"pixels": 7, "files": 2, "means": "unknown"},
        "#090909": {"pixels": 1, "files": 1, "means": "unknown"},
    }
    answered = opened("folder", {**layout, "ignored": ["#ff00ff", "#090909"]})
    assert audited(answered, raw, OURS)["faults"] == []


def test_what_is_packed_has_the_classes_of_its_colours(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = {"images": "a/*.png", "masks": "b/*.png", "labels": {"house": "#ff0000", "land": ["#00ff00", "#000000"]}}
    dataset, drawn = opened("folder", layout), list(scenes(seed=2, count=5, size=(48, 64)))
    monkeypatch.chdir(raw.parent)
    home = artifacts.raw("own")
    dataset.fabricate(home / "files", drawn)
    (home / "source.json").write_text('{"fabricated": true}')
    audit("own", dataset, ["classes"], OURS, 0, home, artifacts.audit("own"))
    labels = dataset.VIEWS["classes"].as_dict()
    pack("own", ResolvedPrepared(dataset="own", view="classes", size=(48, 64), labels=labels))
    packed = PackedSplit(artifacts.prepared("own"), "train")
    assert len(packed) == 3
    for index, name in enumerate(packed.names):
        scene = drawn[int(name)]
        assert np.array_equal(packed[index][0], scene.image)
        assert np.array_equal(packed[index][1] == 0, np.isin(scene.things, AERIAL_BUILDINGS))


MASSACHUSETTS = {
    "images": "png/{split}/*.png",
    "masks": "png/{split}_labels/*.png",
    "channel": 0,
    "threshold": 127,
    "positive": "building",
}


def test_massachusetts_buildings_is_only_a_layout(raw: Path) -> None:
    """137, 4 and 10 images, ten times fewer, as the Kaggle archive has them: beside tiff/, wrapped once."""
    home, numbers = raw / "files/archive", {"train": 14, "val": 1, "test": 1}
    for split, count in numbers.items():
        for number in range(count):
            mask = np.zeros((24, 32, 3), np.uint8)
            mask[4:10, 5:9] = 255
            seed = len(split) * 100 + number
            for ending in ("png", "tiff"):
                save(home / ending / split / f"2282{seed}_15.{ending}", picture(seed))
                red_only = mask * (np.array([1, 0, 0], np.uint8) if ending == "tiff" else np.uint8(1))
                save(home / ending / f"{split}_labels" / f"2282{seed}_15.{ending[:4]}", red_only)
    for name in ("label_class_dict.csv", "metadata.csv"):
        put(home, name)
    for layout in (MASSACHUSETTS, json.loads(json.dumps(MASSACHUSETTS).replace("png", "tiff"))):
        dataset = opened("folder", layout)
        assert dataset.find_root(raw / "files") == home
        report = audited(dataset, raw, OFFICIAL)
        assert report["faults"] == []
        found = report["views"]["binary"]["splits"]
        assert {split: found[split]["images"] for split in found} == numbers
        assert found["train"]["classes"]["building"] == {"pixels": 14 * 24, "images": 14}
        assert report["views"]["binary"]["raw_ids"]["255"] == {"pixels": 16 * 24, "files": 16, "means": "building"}


# Fabricated data


def test_fabricated_buildings_are_the_positive_class(tmp_path: Path) -> None:
    assert [THINGS[i] for i in AERIAL_BUILDINGS] == ["roof", "wall", "window", "door"]
    dataset = folder(images="rgb/*.jpg", masks="gt/*.tif")
    drawn = list(scenes(seed=5, count=3, size=(48, 64)))
    dataset.fabricate(tmp_path, drawn)
    pairs = dataset.pairs(tmp_path, "binary")
    assert [(pair.image.name, pair.mask.name) for pair in pairs] == [
        (f"00000{i}.jpg", f"00000{i}.tif") for i in range(3)
    ]
    for pair, scene in zip(pairs, drawn, strict=True):
        assert np.array_equal(read_raw_mask(pair.mask), np.isin(scene.things, AERIAL_BUILDINGS) * np.uint8(255))


def test_fabricated_things_are_dealt_out_to_all_classes(tmp_path: Path) -> None:
    labels = {"road": [4, 5], "field": [1], "water": [2], "rooftop": [9, 6]}
    dataset = opened("folder", {"images": "a/*.png", "masks": "b/*.png", "labels": labels})
    things = np.arange(21, dtype=np.uint8).reshape(3, 7)
    dataset.fabricate(tmp_path, [Scene(np.zeros((3, 7, 3), np.uint8), things, 0)])
    ids = read_raw_mask(dataset.pairs(tmp_path, "classes")[0].mask)
    assert ids.ravel()[list(AERIAL_BUILDINGS)].tolist() == [6] * 4
    assert sorted(set(ids.ravel().tolist())) == [1, 2, 4, 6]


@pytest.mark.parametrize(
    "layout",
    [
        {**MASSACHUSETTS, "group": {"kind": "pattern", "pattern": r"^(\d{6})"}},
        {"splits": "lists/{split}.txt", "group": {"kind": "table", "path": "groups.csv"}},
        {"images": "**/*.png", "masks": "**/m_*.*", "splits": {"train": "a.txt", "val": "b.txt", "test": "c.txt"}},
        {"splits": {"train": "a.txt", "val": "b.txt", "test": "c.txt"}, "group": TILES},
    ],
)
def test_what_is_fabricated_fits_its_own_layout(raw: Path, layout: dict[str, Any]) -> None:
    dataset = folder(**layout)
    (raw / "files").mkdir(parents=True)
    dataset.fabricate(raw / "files", scenes(seed=1, count=8, size=(96, 128)))
    report = audited(dataset, raw, OFFICIAL)
    assert report["faults"] == []
    found = report["views"]["binary"]["splits"]
    assert {split: found[split]["images"] for split in found} == {"train": 6, "val": 1, "test": 1}


def test_a_pattern_that_no_fabricated_name_matches_is_answered_with_the_way_out(tmp_path: Path) -> None:
    dataset = folder(group={"kind": "pattern", "pattern": "^tile_"})
    with pytest.raises(ValueError, match=r"'000000', which `group\.pattern` in .* write `layout: {group: null}` into"):
        dataset.fabricate(tmp_path, scenes(seed=1, count=1, size=(24, 32)))
