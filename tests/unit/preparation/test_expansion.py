"""Offline copies: of training images only, each parent in its turn, the same every time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segpipe.augmentations import OFFLINE_STEPS
from segpipe.loading import Samples, in_order
from segpipe.params import Augmented
from segpipe.preparation import manifest
from segpipe.preparation.expansion import expand
from segpipe.preparation.manifest import PackedSplit
from tests.unit.preparation.test_manifest import packed, table

PARENTS = [f"train-{n}" for n in range(5)]


@pytest.fixture(autouse=True)
def parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared set of five training images in two shards, and others."""
    monkeypatch.chdir(tmp_path)
    return packed(Path("data/prepared/town"), {"train": [2, 3], "val": [2], "test": [1]}, (20, 28))


def expanded(name: str, copies: int, seed: int = 0) -> tuple[Path, list[dict[str, str]]]:
    expand(name, Augmented(prepared="town", copies=copies, seed=seed))
    folder = Path("data/augmented") / name
    return folder, table(folder / "samples.csv")


def test_every_child_has_a_training_parent_and_stays_in_its_split() -> None:
    folder, rows = expanded("more", 23)
    assert len(rows) == 23
    assert {row["split"] for row in rows} == {"train"}
    assert {row["parent"] for row in rows} == set(PARENTS)
    assert [row["index"] for row in rows] == [str(index) for index in range(23)]
    assert len({row["name"] for row in rows} | set(PARENTS)) == 28
    assert json.loads((folder / "manifest.json").read_text())["splits"].keys() == {"train"}


@pytest.mark.parametrize("copies", [1, 4, 5, 7, 10, 13])
def test_every_parent_comes_once_before_any_comes_twice(copies: int) -> None:
    _, rows = expanded("more", copies)
    for turn in range(0, copies, 5):
        parents = [row["parent"] for row in rows[turn : turn + 5]]
        assert len(set(parents)) == len(parents)


def test_a_parent_gets_another_step_each_time_and_every_step_is_used() -> None:
    _, rows = expanded("more", 20)
    assert {len({row["step"] for row in rows if row["parent"] == parent}) for parent in PARENTS} == {4}
    assert Counter(row["step"] for row in rows) == dict.fromkeys(OFFLINE_STEPS, 5)


def test_a_flipped_child_is_its_parent_flipped(parents: Path) -> None:
    folder, rows = expanded("more", 20)
    old, new = PackedSplit(parents, "train"), PackedSplit(folder, "train")
    axes = {"flip_horizontal": 1, "flip_vertical": 0}
    flipped = [row for row in rows if row["step"] in axes]
    assert len(flipped) == 10
    for row in flipped:
        image, mask = old[PARENTS.index(row["parent"])]
        child_image, child_mask = new[int(row["index"])]
        assert np.array_equal(child_image, np.flip(image, axes[row["step"]]))
        assert np.array_equal(child_mask, np.flip(mask, axes[row["step"]]))


def test_a_child_belongs_to_the_group_of_its_parent(parents: Path) -> None:
    groups = {row["name"]: row["group"] for row in table(parents / "samples.csv")}
    _, rows = expanded("more", 7)
    assert [row["group"] for row in rows] == [groups[row["parent"]] for row in rows]


def test_the_manifest_names_the_parent_set_and_keeps_its_facts(parents: Path) -> None:
    folder, _ = expanded("more", 3)
    old, new = (json.loads((place / "manifest.json").read_text()) for place in (parents, folder))
    assert new["name"] == "more"
    assert new["parent"] == {"name": "town", "content": old["content"]}
    for key in ("dataset", "view", "fabricated", "size", "labels"):
        assert new[key] == old[key]
    assert new["splits"]["train"]["images"] == 3


def test_the_same_seed_gives_the_same_copies_and_another_gives_others() -> None:
    whole = {}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        folder, rows = expanded(name, 12, seed)
        whole[name] = (json.loads((folder / "manifest.json").read_text())["content"], rows)
    assert whole["first"] == whole["again"]
    assert whole["first"][0] != whole["other"][0]


def test_more_copies_begin_with_the_fewer() -> None:
    (few, few_rows), (many, many_rows) = expanded("few", 4), expanded("many", 11)
    assert many_rows[:4] == few_rows
    for index in range(4):
        for one, other in zip(PackedSplit(few, "train")[index], PackedSplit(many, "train")[index], strict=True):
            assert np.array_equal(one, other)


def test_copies_may_fill_several_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PackedSplit(expanded("whole", 5)[0], "train")
    monkeypatch.setattr(manifest, "SHARD_BYTES", 2 * 20 * 28 * 3)
    folder, _ = expanded("cut", 5)
    assert len(list(folder.glob("*-images.npy"))) == 3
    cut = PackedSplit(folder, "train")
    assert all(np.array_equal(cut[n][0], whole[n][0]) and np.array_equal(cut[n][1], whole[n][1]) for n in range(5))


def test_the_class_pixels_of_every_child_are_counted_on_the_way() -> None:
    """Those of the child, which a rotation or a zoom changes, not those of its parent."""
    folder, _ = expanded("more", 20)
    children = PackedSplit(folder, "train")
    expected = [[int((children[n][1] == 0).sum()), int((children[n][1] == 1).sum())] for n in range(20)]
    assert np.load(folder / "class_pixels.npy").tolist() == expected
    assert children.class_pixels.tolist() == expected


def test_no_copies_are_a_set_that_loading_accepts(parents: Path) -> None:
    folder, rows = expanded("none", 0)
    assert rows == []
    assert (folder / "samples.csv").read_text() == "split,index,name,group,parent,step\n"
    samples = Samples([parents, folder], "train")
    assert samples.names == PARENTS
    assert samples.class_pixels.shape == (5, 2)
    assert sum(len(batch.names) for batch in in_order(samples, 2)) == 5


def test_a_set_without_training_images_is_refused_with_a_way_on() -> None:
    packed(Path("data/prepared/untrained"), {"val": [2]})
    with pytest.raises(ValueError, match="untrained"):
        expand("more", Augmented(prepared="untrained", copies=3))
    assert not Path("data/augmented/more").exists()


def test_the_parents_are_only_read(parents: Path) -> None:
    before = {path.name: path.read_bytes() for path in parents.iterdir()}
    expanded("more", 9)
    assert {path.name: path.read_bytes() for path in parents.iterdir()} == before
    with (parents / "samples.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 9
