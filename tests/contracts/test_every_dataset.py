"""What every file in segpipe/datasets/ owes: documented constants, and fabricated data that its own tables explain."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from segpipe import components
from segpipe.labels import LabelTable
from segpipe.preparation.reading import read_image, read_raw_mask

SCENES = 4
SIZE = (96, 128)

every_dataset = pytest.mark.parametrize("name", components.names("datasets"))


def fabricated(name: str, folder: Path) -> ModuleType:
    """The dataset's module, after it wrote a few scenes."""
    module = components.find("datasets", name)
    scenery = importlib.import_module(f"segpipe.acquisition.{module.SCENERY}")
    folder.mkdir(parents=True)
    module.fabricate(folder, scenery.scenes(3, SCENES, SIZE))
    return module


@every_dataset
def test_the_fact_sheet_and_the_constants_are_there(name: str) -> None:
    module = components.find("datasets", name)
    assert module.__doc__
    assert all(fact in module.__doc__ for fact in ("Source", "Images", "Masks", "Layout"))
    assert isinstance(module.LICENCE, str)
    assert module.LICENCE.strip()
    assert "\n" not in module.LICENCE
    assert module.VIEWS
    for view, table in module.VIEWS.items():
        assert isinstance(table, LabelTable)
        assert table.name == view
    owner, _, title = getattr(module, "KAGGLE", "nobody/nothing").partition("/")
    assert owner
    assert title


@every_dataset
def test_every_class_has_a_colour_of_its_own(name: str) -> None:
    for table in components.find("datasets", name).VIEWS.values():
        colors = [label.color for label in table.classes]
        assert len(set(colors)) == len(colors)
        assert all(0 <= channel <= 255 for color in colors for channel in color)


@every_dataset
def test_the_root_is_found_under_wrapping_folders(name: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    module = fabricated(name, plain)
    root = module.find_root(plain).relative_to(plain)
    inner = tmp_path / "wrapped" / "archive" / "dataset"
    inner.parent.mkdir(parents=True)
    plain.rename(inner)
    assert module.find_root(tmp_path / "wrapped") == inner / root
    assert module.find_root(inner / root) == inner / root


@every_dataset
def test_a_folder_of_something_else_is_refused_by_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "holiday_pictures"
    folder.mkdir()
    (folder / "beach.png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="holiday_pictures"):
        components.find("datasets", name).find_root(folder)


@every_dataset
def test_every_image_has_its_mask_and_nothing_is_left_over(name: str, tmp_path: Path) -> None:
    module = fabricated(name, tmp_path / "files")
    root = module.find_root(tmp_path / "files")
    for view in module.VIEWS:
        pairs = module.pairs(root, view)
        assert len(pairs) == SCENES
        assert len({pair.name for pair in pairs}) == SCENES
        assert [pair.name for pair in pairs] == sorted(pair.name for pair in pairs)
        assert module.unpaired(root, view) == []
        for pair in pairs:
            assert read_image(pair.image).shape == (*SIZE, 3)
            assert read_raw_mask(pair.mask).shape == SIZE


@every_dataset
def test_a_lost_mask_and_a_lost_image_are_named(name: str, tmp_path: Path) -> None:
    module = fabricated(name, tmp_path / "files")
    root = module.find_root(tmp_path / "files")
    for view in module.VIEWS:
        first, second, *rest = module.pairs(root, view)
        first.mask.unlink()
        second.image.unlink()
        assert set(module.unpaired(root, view)) == {first.image, second.mask}
        assert module.pairs(root, view) == rest


@every_dataset
def test_every_raw_id_that_is_written_is_known_to_its_table(name: str, tmp_path: Path) -> None:
    module = fabricated(name, tmp_path / "files")
    root = module.find_root(tmp_path / "files")
    for view, table in module.VIEWS.items():
        for pair in module.pairs(root, view):
            raw = read_raw_mask(pair.mask)
            assert set(raw.flatten().tolist()) <= table.known_raw_ids
            ids = set(table.remap(raw, pair.name).flatten().tolist())
            assert ids <= {*range(len(table.classes)), 255}
            assert len(ids) > 1, "a scene of one class teaches nothing"


@every_dataset
def test_the_same_scenes_are_written_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        fabricated(name, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        written.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert written[0] == written[1]
