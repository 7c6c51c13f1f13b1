"""Packed sets: shards within their limit, a manifest that says what is there, and samples by index."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.preparation import manifest
from segpipe.preparation.manifest import PackedSplit, content_hash, part_and_place, places, shards, write_manifest

LABELS = {
    "name": "aerial",
    "classes": [
        {"name": "roofs", "color": [200, 0, 0], "raw_ids": [1]},
        {"name": "roads", "color": [0, 0, 200], "raw_ids": [0]},
    ],
    "ignored": [],
}

Rows = list[dict[str, str]]


def packed(folder: Path, counts: dict[str, list[int]], size: tuple[int, int] = (6, 8)) -> Path:
    """A packed folder by hand, as docs/files.md has it: for each split the number of samples in each shard.

    Sample number n of a split is called `<split>-n`, belongs to group `<split>-group-(n // 2)`, and its every byte is
    random.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(sum(map(ord, folder.name)))
    splits: dict[str, Any] = {}
    rows, counted, digest = [], [], hashlib.sha256()
    for split, sizes in counts.items():
        described = []
        for k, count in enumerate(sizes):
            shard = {"images": f"{split}-{k}-images.npy", "masks": f"{split}-{k}-masks.npy", "count": count}
            for kind, shape, high in (("images", (count, *size, 3), 256), ("masks", (count, *size), 2)):
                content = rng.integers(0, high, shape, np.uint8)
                np.save(folder / str(shard[kind]), content)
                digest.update((folder / str(shard[kind])).read_bytes())
            counted += [[int((mask == class_id).sum()) for class_id in (0, 1)] for mask in content]
            described.append(shard)
        splits[split] = {"images": sum(sizes), "shards": described}
        rows += [[split, n, f"{split}-{n}", f"{split}-group-{n // 2}", *size] for n in range(sum(sizes))]
    with (folder / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["split", "index", "name", "group", "height", "width"], *rows])
    np.save(folder / "class_pixels.npy", np.array(counted, np.int64).reshape(-1, 2))
    manifest = {
        "name": folder.name,
        "dataset": "town",
        "view": "aerial",
        "fabricated": True,
        "size": list(size),
        "labels": LABELS,
        "splits": splits,
        "content": digest.hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def table(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("count", "limit", "counts"),
    [
        (7, 3 * 144, [3, 3, 1]),
        (6, 3 * 144, [3, 3]),
        (7, 4 * 144 - 1, [3, 3, 1]),
        (3, 1, [1, 1, 1]),
        (7, 7 * 144, [7]),
        (0, 144, []),
    ],
)
def test_samples_are_cut_into_files_within_the_limit(
    monkeypatch: pytest.MonkeyPatch, count: int, limit: int, counts: list[int]
) -> None:
    monkeypatch.setattr(manifest, "SHARD_BYTES", limit)  # an image of 6 x 8 pixels has 144 bytes
    files = shards("val", count, (6, 8))
    assert [shard.count for shard in files] == counts
    assert [shard.images for shard in files] == [f"val-{k}-images.npy" for k in range(len(counts))]
    assert [shard.masks for shard in files] == [f"val-{k}-masks.npy" for k in range(len(counts))]


def test_a_file_holds_at_most_a_gibibyte_of_images() -> None:
    files = shards("train", 10_000, (518, 518))
    assert sum(shard.count for shard in files) == 10_000
    assert all(shard.count * 518 * 518 * 3 <= 2**30 for shard in files)
    assert (files[0].count + 1) * 518 * 518 * 3 > 2**30


def test_places_run_through_the_shards_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SHARD_BYTES", 2 * 144)
    files = shards("val", 5, (6, 8))
    assert [(shard.images[4], row) for shard, row in places(files)] == [
        ("0", 0),
        ("0", 1),
        ("1", 0),
        ("1", 1),
        ("2", 0),
    ]


def test_what_is_created_can_be_filled_and_opened_again(tmp_path: Path) -> None:
    (shard,) = shards("val", 2, (6, 8))
    images, masks = shard.create(tmp_path, (6, 8))
    assert (images.shape, masks.shape) == ((2, 6, 8, 3), (2, 6, 8))
    images[1], masks[1] = 9, 4
    del images, masks
    assert np.load(tmp_path / "val-0-images.npy").dtype == np.uint8
    opened, relabelled = shard.open(tmp_path)
    assert (opened[0] == 0).all()
    assert (opened[1] == 9).all()
    assert (relabelled[1] == 4).all()
    with pytest.raises(ValueError, match="read-only"):
        opened[0] = 1


def test_the_manifest_counts_and_hashes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SHARD_BYTES", 2 * 144)
    files = shards("train", 3, (6, 8)) + shards("test", 1, (6, 8))
    for number, shard in enumerate(files):
        images, masks = shard.create(tmp_path, (6, 8))
        images[:], masks[:] = number, number
    write_manifest(tmp_path, {"name": "town", "size": [6, 8]}, files)
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["splits"] == {
        "train": {
            "images": 3,
            "shards": [
                {"images": "train-0-images.npy", "masks": "train-0-masks.npy", "count": 2},
                {"images": "train-1-images.npy", "masks": "train-1-masks.npy", "count": 1},
            ],
        },
        "test": {"images": 1, "shards": [{"images": "test-0-images.npy", "masks": "test-0-masks.npy", "count": 1}]},
    }
    names = ("train-0-images", "train-0-masks", "train-1-images", "train-1-masks", "test-0-images", "test-0-masks")
    whole = b"".join((tmp_path / f"{name}.npy").read_bytes() for name in names)
    assert written["content"] == hashlib.sha256(whole).hexdigest()
    assert (written["name"], written["size"]) == ("town", [6, 8])


def test_one_changed_pixel_changes_the_content_hash(tmp_path: Path) -> None:
    (shard,) = shards("val", 2, (6, 8))
    _, masks = shard.create(tmp_path, (6, 8))
    before = content_hash(tmp_path, [shard])
    masks[1, 5, 7] = 1
    assert content_hash(tmp_path, [shard]) != before


def test_a_split_is_read_by_index_across_its_shards(tmp_path: Path) -> None:
    folder = packed(tmp_path / "town", {"train": [2, 3], "val": [1]})
    split = PackedSplit(folder, "train")
    assert len(split) == 5
    assert split.names == [f"train-{n}" for n in range(5)]
    for index, (shard, row) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]):
        image, mask = split[index]
        assert np.array_equal(image, np.load(folder / f"train-{shard}-images.npy")[row])
        assert np.array_equal(mask, np.load(folder / f"train-{shard}-masks.npy")[row])
    with pytest.raises(IndexError):
        split[5]


def test_a_split_knows_the_class_pixels_of_its_own_samples(tmp_path: Path) -> None:
    folder = packed(tmp_path / "town", {"train": [2, 3], "val": [1, 1], "test": [2]})
    for split, shards_of in (("train", 2), ("val", 2), ("test", 1)):
        masks = np.concatenate([np.load(folder / f"{split}-{k}-masks.npy") for k in range(shards_of)])
        expected = [[int((mask == 0).sum()), int((mask == 1).sum())] for mask in masks]
        assert PackedSplit(folder, split).class_pixels.tolist() == expected


@pytest.mark.parametrize(
    ("index", "expected"), [(0, (0, 0)), (1, (0, 1)), (2, (2, 0)), (4, (2, 2)), (5, (3, 0))], ids=str
)
def test_an_index_is_found_in_its_part_and_empty_parts_are_passed_over(index: int, expected: tuple[int, int]) -> None:
    assert part_and_place([2, 2, 5, 6], index) == expected


@pytest.mark.parametrize(("ends", "index"), [([2, 5], 5), ([2, 5], -1), ([], 0)])
def test_an_index_outside_all_parts_is_an_error(ends: list[int], index: int) -> None:
    with pytest.raises(IndexError):
        part_and_place(ends, index)


def test_a_split_that_is_not_there_is_empty(tmp_path: Path) -> None:
    split = PackedSplit(packed(tmp_path / "town", {"train": [2]}), "val")
    assert (len(split), split.names) == (0, [])
