"""Filling data/raw/<name>: whole, with the record of its origin, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from segpipe.acquisition import obtain
from segpipe.acquisition.scenery import flight
from segpipe.acquisition.scenery.aerial import scenes
from segpipe.datasets import aeroscapes, drone
from segpipe.datasets.drone import LICENCE, fabricate, pairs

FABRICATED = SimpleNamespace(kind="fabricated", images=2, size=[48, 64])


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder that a user has, with wrapping folders."""
    fabricate(tmp_path / "mine" / "wrapped", scenes(seed=1, count=2, size=(48, 64)))
    return tmp_path / "mine"


def _record(folder: Path) -> dict[str, object]:
    record = json.loads((folder / "source.json").read_text())
    assert isinstance(record, dict)
    return record


def test_fabricated_data_says_that_it_is(tmp_path: Path) -> None:
    obtain("little", drone, FABRICATED, 3, tmp_path / "little")
    assert sorted(path.name for path in (tmp_path / "little").iterdir()) == ["archives", "files", "source.json"]
    assert _record(tmp_path / "little") == {
        "dataset": "little",
        "kind": "fabricated",
        "origin": "2 scenes of 48x64 pixels, fabricated with seed 3",
        "fabricated": True,
        "licence": "fabricated by segpipe: no terms",
        "archives": [],
    }
    assert len(pairs(tmp_path / "little" / "files", "drone_5")) == 2


def test_flights_drawn_side_by_side_are_those_drawn_one_after_the_other(tmp_path: Path) -> None:
    """Seven frames, so that the last flight is cut short."""
    obtain("films", aeroscapes, SimpleNamespace(kind="fabricated", images=7, size=[48, 64]), 3, tmp_path / "films")
    aeroscapes.fabricate(tmp_path / "in order", flight.scenes(3, 7, (48, 64)))
    drawn, expected = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (tmp_path / "films" / "files", tmp_path / "in order")
    )
    assert len(expected) == 7 + 7 + 2
    assert drawn == expected


def test_a_folder_is_copied_and_may_be_changed_afterwards(tmp_path: Path, mine: Path) -> None:
    obtain("own", drone, SimpleNamespace(kind="folder", path=str(mine)), 0, tmp_path / "own")
    copied = pairs(tmp_path / "own" / "files", "drone_5")
    original = pairs(mine, "drone_5")
    assert [pair.image.read_bytes() for pair in copied] == [pair.image.read_bytes() for pair in original]
    assert copied[0].image.stat().st_ino != original[0].image.stat().st_ino
    record = _record(tmp_path / "own")
    assert (record["kind"], record["licence"], record["fabricated"]) == ("folder", LICENCE, False)
    assert (record["origin"], record["archives"]) == ("copied from the folder mine", [])


@pytest.mark.parametrize("form", ["zip", "gztar"])
def test_an_archive_is_kept_with_its_hash_and_unpacked(tmp_path: Path, mine: Path, form: str) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "set"), form, mine))
    obtain("own", drone, SimpleNamespace(kind="folder", path=str(archive)), 0, tmp_path / "own")
    assert len(pairs(tmp_path / "own" / "files", "drone_binary")) == 2
    content = archive.read_bytes()
    assert _record(tmp_path / "own")["archives"] == [
        {"name": archive.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    ]
    assert (tmp_path / "own" / "archives" / archive.name).read_bytes() == content


def test_an_archive_of_something_else_leaves_what_was_there(tmp_path: Path) -> None:
    obtain("own", drone, FABRICATED, 3, tmp_path / "own")
    before = _record(tmp_path / "own")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no images")
    archive = shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="holds no folder 'original_images'"):
        obtain("own", drone, SimpleNamespace(kind="folder", path=archive), 0, tmp_path / "own")
    assert _record(tmp_path / "own") == before
    assert not list(tmp_path.glob(".own.partial-*"))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist, where a folder.*Correct `path`"):
        obtain("own", drone, SimpleNamespace(kind="folder", path=str(tmp_path / "nowhere")), 0, tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_a_dataset_that_is_not_on_kaggle_is_named(tmp_path: Path) -> None:
    private = ModuleType("segpipe.datasets.private")
    with pytest.raises(ValueError, match=r"dataset 'private' has `kind: kaggle`, .*Add `dataset: owner/name`"):
        obtain("own", private, SimpleNamespace(kind="kaggle", dataset=None), 0, tmp_path / "own")
    assert not (tmp_path / "own").exists()
