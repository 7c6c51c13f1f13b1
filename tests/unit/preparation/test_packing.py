"""Packing against a second way of doing it: every pixel, every order, and nothing left of what failed."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.params import ResolvedPrepared
from segpipe.preparation import manifest
from segpipe.preparation.packing import pack
from segpipe.preparation.statistics import class_weights
from tests.unit.preparation.test_manifest import table

CLASS_OF = {0: 1, 1: 0, 7: 0, 34: 2, 255: 255}
"""Class id by raw id, once more and by hand."""

LABELS = {
    "name": "aerial",
    "classes": [
        {"name": "roofs", "color": [200, 0, 0], "raw_ids": [1, 7]},
        {"name": "roads", "color": [0, 0, 200], "raw_ids": [0]},
        {"name": "trees", "color": [0, 200, 0], "raw_ids": [34]},
    ],
    "ignored": [255],
}
COLUMNS = ("view", "split", "group", "name", "image", "mask", "height", "width")


class Town:
    """data/raw/town and data/audits/town by hand, as docs/files.md has them: pictures of several sizes and modes."""

    def __init__(self) -> None:
        self.raw, self.audit = Path("data/raw/town"), Path("data/audits/town")
        (self.raw / "files").mkdir(parents=True)
        self.audit.mkdir(parents=True)
        (self.raw / "source.json").write_text(json.dumps({"dataset": "town", "kind": "folder", "fabricated": False}))
        self.pairs: list[dict[str, Any]] = []
        for number, split in enumerate(["train", "val", "train", "test", "train", "train", "val"]):
            self.add(f"{number:03d}", split, (23 + 2 * number, 31 + 3 * number))

    def add(self, name: str, split: str, size: tuple[int, int], view: str = "aerial") -> None:
        rng = np.random.default_rng(int(name))
        raw_ids = rng.choice(np.array(list(CLASS_OF), np.uint8), size)
        mask = Image.fromarray(raw_ids, "L" if int(name) % 2 else "P")
        if mask.mode == "P":
            mask.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
        mask.save(self.raw / f"files/{name}-mask.png")
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(self.raw / f"files/{name}.png")
        place = {"image": f"files/{name}.png", "mask": f"files/{name}-mask.png", "height": size[0], "width": size[1]}
        self.pairs.append({"view": view, "split": split, "group": f"street {int(name) // 2}", "name": name, **place})

    def pack(self, size: tuple[int, int] = (12, 16), labels: dict[str, Any] = LABELS) -> Path:
        with (self.audit / "pairs.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.pairs)
        pack("small", ResolvedPrepared(dataset="town", view="aerial", size=size, labels=labels))
        return Path("data/prepared/small")

    def of(self, split: str) -> list[dict[str, Any]]:
        return [pair for pair in self.pairs if (pair["view"], pair["split"]) == ("aerial", split)]


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGPIPE_WORKERS", "1")
    return Town()


def content(folder: Path) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return whole


def arrays(folder: Path, split: str, kind: str) -> np.ndarray:
    described = content(folder)["splits"][split]["shards"]
    parts = [np.load(folder / shard[kind]) for shard in described]
    assert [len(part) for part in parts] == [shard["count"] for shard in described]
    return np.concatenate(parts)


def expected_mask(path: Path, size: tuple[int, int]) -> list[list[int]]:
    raw = Image.open(path)
    columns = [math.floor((x + 0.5) * raw.width / size[1]) for x in range(size[1])]
    rows = [math.floor((y + 0.5) * raw.height / size[0]) for y in range(size[0])]
    return [[CLASS_OF[int(raw.getpixel((x, y)))] for x in columns] for y in rows]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(12, 16), (40, 64)])
def test_every_pixel_has_the_class_of_the_nearest_raw_id(town: Town, size: tuple[int, int]) -> None:
    folder = town.pack(size)
    for split in ("train", "val", "test"):
        masks = arrays(folder, split, "masks")
        assert masks.dtype == np.uint8
        for mask, pair in zip(masks, town.of(split), strict=True):
            assert mask.tolist() == expected_mask(town.raw / pair["mask"], size)


def test_every_image_is_the_mean_over_the_area_of_each_pixel(town: Town) -> None:
    """Of a picture twice the size: the blocks of four, rounded either way at a half."""
    town.add("008", "test", (24, 32))
    image = arrays(town.pack((12, 16)), "test", "images")[-1]
    source = np.asarray(Image.open(town.raw / "files/008.png")).astype(float)
    assert np.abs(image - source.reshape(12, 2, 16, 2, 3).mean((1, 3))).max() <= 0.5


def test_a_picture_of_the_right_size_is_not_touched(town: Town) -> None:
    town.add("008", "test", (12, 16))
    image = arrays(town.pack((12, 16)), "test", "images")[-1]
    assert np.array_equal(image, np.asarray(Image.open(town.raw / "files/008.png")))


def test_the_manifest_says_what_was_packed_and_the_table_what_it_was(town: Town) -> None:
    folder = town.pack()
    written = content(folder)
    facts = {"name": "small", "dataset": "town", "view": "aerial", "fabricated": False, "size": [12, 16]}
    assert {key: written[key] for key in facts} == facts
    assert written["labels"] == LABELS
    assert {split: entry["images"] for split, entry in written["splits"].items()} == {"train": 4, "val": 2, "test": 1}
    assert table(folder / "samples.csv") == [
        {
            "split": split,
            "index": str(index),
            "name": pair["name"],
            "group": pair["group"],
            "height": str(pair["height"]),
            "width": str(pair["width"]),
        }
        for split in ("train", "val", "test")
        for index, pair in enumerate(town.of(split))
    ]


def test_the_class_pixels_of_every_sample_are_counted_and_those_of_train_summed_up(town: Town) -> None:
    """In the order of samples.csv, of the packed masks: counted again from those."""
    folder = town.pack()
    masks = {split: arrays(folder, split, "masks").tolist() for split in ("train", "val", "test")}
    expected = [[sum(row.count(i) for row in mask) for i in range(3)] for split in masks.values() for mask in split]
    table = np.load(folder / "class_pixels.npy")
    assert table.tolist() == expected
    assert (table.sum(1) < 12 * 16).all()  # every mask has ignored pixels
    kept = json.loads((folder / "statistics.json").read_text())
    pixels = [sum(row[i] for row in expected[:4]) for i in range(3)]
    assert (kept["split"], kept["images"], kept["pixels"]) == ("train", 4, sum(pixels))
    for name, here in zip(["roofs", "roads", "trees"], pixels, strict=True):
        facts = {"pixels": here, "images": 4, "pixel_frequency": here / sum(pixels), "image_frequency": 1.0}
        assert kept["classes"][name] == facts
    assert class_weights("inverse", folder) == list(kept["class_weights"]["inverse"].values())


def test_what_val_and_test_hold_changes_no_statistics(town: Town) -> None:
    before = (town.pack() / "statistics.json").read_bytes()
    table = np.load("data/prepared/small/class_pixels.npy")
    for pair in town.of("val") + town.of("test"):
        size = (int(pair["height"]), int(pair["width"]))
        Image.fromarray(np.full(size, 34, np.uint8)).save(town.raw / pair["mask"])
    folder = town.pack()
    assert (folder / "statistics.json").read_bytes() == before
    changed = np.load(folder / "class_pixels.npy")
    assert np.array_equal(changed[:4], table[:4])
    assert changed[4:].tolist() == [[0, 0, 12 * 16]] * 3


def test_only_what_the_audit_has_proven_for_the_view_gets_in(town: Town) -> None:
    town.add("020", "train", (20, 20), view="street")
    town.add("021", "train", (20, 20))
    town.pairs.pop()  # lies there, but the audit does not name it
    names = {row["name"] for row in table(town.pack() / "samples.csv")}
    assert names == {"000", "001", "002", "003", "004", "005", "006"}


def test_two_processes_pack_the_same_as_one(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = []
    for workers in ("1", "2"):
        monkeypatch.setenv("SEGPIPE_WORKERS", workers)
        folder = town.pack()
        packed.append(
            [(folder / name).read_bytes() for name in ("manifest.json", "class_pixels.npy", "statistics.json")]
        )
    assert packed[0] == packed[1]


def test_a_split_may_fill_several_shards(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = town.pack()
    images, masks = arrays(whole, "train", "images"), arrays(whole, "train", "masks")
    monkeypatch.setattr(manifest, "SHARD_BYTES", 3 * 12 * 16 * 3)
    cut = town.pack()
    assert [shard["count"] for shard in content(cut)["splits"]["train"]["shards"]] == [3, 1]
    assert np.array_equal(arrays(cut, "train", "images"), images)
    assert np.array_equal(arrays(cut, "train", "masks"), masks)
    assert (cut / "train-1-masks.npy").is_file()


def test_packing_again_leaves_nothing_of_before(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SHARD_BYTES", 1)
    assert len(list(town.pack().glob("*-*-*.npy"))) == 14
    monkeypatch.setattr(manifest, "SHARD_BYTES", 1 << 30)
    assert len(list(town.pack().glob("*-*-*.npy"))) == 6
    assert [path.name for path in Path("data/prepared").iterdir()] == ["small"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_raw_id_outside_the_table_stops_it_by_name_and_leaves_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("SEGPIPE_WORKERS", workers)
    Image.fromarray(np.full((23, 31), 9, np.uint8)).save(town.raw / "files/004-mask.png")
    with pytest.raises(ValueError, match=r"mask files/004-mask\.png has raw ids \[9\], which label table 'aerial'"):
        town.pack()
    assert not list(Path("data/prepared").iterdir())


def test_a_failure_keeps_the_set_of_before(town: Town) -> None:
    before = content(town.pack())
    Image.fromarray(np.full((23, 31), 9, np.uint8)).save(town.raw / "files/004-mask.png")
    with pytest.raises(ValueError):
        town.pack()
    assert content(Path("data/prepared/small")) == before
    assert [path.name for path in Path("data/prepared").iterdir()] == ["small"]


@pytest.mark.parametrize("name", ["files/002.png", "files/002-mask.png"])
def test_a_file_that_broke_after_its_audit_stops_it_by_name(town: Town, name: str) -> None:
    (town.raw / name).write_bytes((town.raw / name).read_bytes()[:60])
    with pytest.raises(ValueError, match=f"{name}.*fetch it again"):
        town.pack()
    assert not list(Path("data/prepared").iterdir())
