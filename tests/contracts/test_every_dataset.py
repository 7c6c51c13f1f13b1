"""What every file in segpipe/datasets/ owes: documented constants, and fabricated data that its own tables explain."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from segpipe import components
from segpipe.datasets import Dataset, opened
from segpipe.labels import LabelTable
from segpipe.preparation.reading import read_image, read_raw_mask

SCENES = 4
SIZE = (96, 128)

LAYOUTS: dict[str, list[dict[str, Any]]] = {
    "folder": [
        {"images": "images/*.png", "masks": "masks/*_mask.png", "threshold": 127, "positive": "building"},
        {
            "images": "{split}/**/*_rgb.*",
            "masks": "{split}/**/*_labels.png",
            "labels": {"ground": ["#00ff00", "#007f00"], "house": "#ff0000", "rest": "#000000"},
            "group": {"kind": "table", "path": "groups.csv"},
        },
    ]
}
"""What a dataset is told that asks for a layout: each of these is tried."""

every_dataset = pytest.mark.parametrize(
    ("name", "layout"),
    [(name, layout) for name in components.names("datasets") for layout in LAYOUTS.get(name, [{}])],
    ids=str,
)


def fabricated(name: str, layout: dict[str, Any], folder: Path) -> Dataset:
    """The dataset, after it wrote a few scenes."""
    dataset = opened(name, layout)
    scenery = importlib.import_module(f"segpipe.acquisition.scenery.{dataset.SCENERY}")
    folder.mkdir(parents=True)
    dataset.fabricate(folder, scenery.scenes(3, SCENES, SIZE))
    return dataset


@every_dataset
def test_the_fact_sheet_and_the_constants_are_there(name: str, layout: dict[str, Any]) -> None:
    fact_sheet = components.find("datasets", name).__doc__
    assert fact_sheet
    assert all(fact in fact_sheet for fact in ("Source", "Images", "Masks", "Layout"))
    dataset = opened(name, layout)
    assert isinstance(dataset.LICENCE, str)
    assert dataset.LICENCE.strip()
    assert "\n" not in dataset.LICENCE
    assert dataset.VIEWS
    for view, table in dataset.VIEWS.items():
        assert isinstance(table, LabelTable)
        assert table.name == view
    owner, _, title = getattr(dataset, "KAGGLE", "nobody/nothing").partition("/")
    assert owner
    assert title


@every_dataset
def test_every_class_has_a_colour_of_its_own(name: str, layout: dict[str, Any]) -> None:
    for table in opened(name, layout).VIEWS.values():
        colors = [label.color for label in table.classes]
        assert len(set(colors)) == len(colors)
        assert all(0 <= channel <= 255 for color in colors for channel in color)


@every_dataset
def test_the_root_is_found_under_wrapping_folders(name: str, layout: dict[str, Any], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    dataset = fabricated(name, layout, plain)
    root = dataset.find_root(plain).relative_to(plain)
    inner = tmp_path / "wrapped" / "archive" / "dataset"
    inner.parent.mkdir(parents=True)
    plain.rename(inner)
    assert dataset.find_root(tmp_path / "wrapped") == inner / root
    assert dataset.find_root(inner / root) == inner / root


@every_dataset
def test_a_folder_of_something_else_is_refused_by_name(name: str, layout: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "holiday_pictures"
    folder.mkdir()
    (folder / "beach.png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="holiday_pictures"):
        opened(name, layout).find_root(folder)


@every_dataset
def test_every_image_has_its_mask_and_nothing_is_left_over(name: str, layout: dict[str, Any], tmp_path: Path) -> None:
    dataset = fabricated(name, layout, tmp_path / "files")
    root = dataset.find_root(tmp_path / "files")
    for view in dataset.VIEWS:
        pairs = dataset.pairs(root, view)
        assert len(pairs) == SCENES
        assert len({pair.name for pair in pairs}) == SCENES
        assert [pair.name for pair in pairs] == sorted(pair.name for pair in pairs)
        assert dataset.unpaired(root, view) == []
        for pair in pairs:
            assert read_image(pair.image).shape == (*SIZE, 3)
            assert read_raw_mask(pair.mask, dataset.VIEWS[view].encoding).shape == SIZE


@every_dataset
def test_a_lost_mask_and_a_lost_image_are_named(name: str, layout: dict[str, Any], tmp_path: Path) -> None:
    for view in opened(name, layout).VIEWS:  # which may share their files
        dataset = fabricated(name, layout, tmp_path / view)
        root = dataset.find_root(tmp_path / view)
        first, second, *rest = dataset.pairs(root, view)
        first.mask.unlink()
        second.image.unlink()
        assert set(dataset.unpaired(root, view)) == {first.image, second.mask}
        assert dataset.pairs(root, view) == rest


@every_dataset
def test_every_raw_id_that_is_written_is_known_to_its_table(name: str, layout: dict[str, Any], tmp_path: Path) -> None:
    dataset = fabricated(name, layout, tmp_path / "files")
    root = dataset.find_root(tmp_path / "files")
    for view, table in dataset.VIEWS.items():
        for pair in dataset.pairs(root, view):
            raw = read_raw_mask(pair.mask, table.encoding)
            assert set(raw.flatten().tolist()) <= table.known_raw_ids
            ids = set(table.remap(raw, pair.name).flatten().tolist())
            assert ids <= {*range(len(table.classes)), 255}
            assert len(ids) > 1, "a scene of one class teaches nothing"


@every_dataset
def test_the_same_scenes_are_written_to_the_same_bytes(name: str, layout: dict[str, Any], tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        fabricated(name, layout, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        written.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert written[0] == written[1]
