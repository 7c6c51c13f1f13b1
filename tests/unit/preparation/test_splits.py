from __future__ import annotations

import random
from collections import Counter
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from segpipe.datasets import Pair
from segpipe.preparation.splits import assign


def shares(test: int | float, val: int | float) -> SimpleNamespace:
    return SimpleNamespace(kind="shares", test=test, val=val)


def pair(name: str, group: str = "", official: str | None = None) -> Pair:
    return Pair(name, group or name, Path(f"{name}.png"), Path(f"{name}_mask.png"), official)


PHOTOGRAPHS = [pair(f"{i:03d}") for i in range(400)]
FRAMES = [pair(f"{video}_{i}", str(video)) for video in range(20) for i in range(1 + video % 5)]


def test_four_hundred_photographs_become_280_to_train_70_to_validate_and_50_to_test() -> None:
    counts = Counter(assign(PHOTOGRAPHS, shares(50, 0.2), 0).values())
    assert counts == {"train": 280, "val": 70, "test": 50}


def test_shares_are_of_what_is_left() -> None:
    counts = Counter(assign(PHOTOGRAPHS, shares(0.25, 0.1), 0).values())
    assert counts == {"test": 100, "val": 30, "train": 270}


def test_the_split_does_not_depend_on_the_order_of_the_pairs() -> None:
    shuffled = random.Random(1).sample(PHOTOGRAPHS, len(PHOTOGRAPHS))
    assert assign(shuffled, shares(50, 0.2), 0) == assign(PHOTOGRAPHS, shares(50, 0.2), 0)


def test_the_test_split_is_the_first_in_the_order_of_the_hashes() -> None:
    order = sorted((p.name for p in PHOTOGRAPHS), key=lambda name: sha256(f"7:{name}".encode()).hexdigest())
    found = assign(PHOTOGRAPHS, shares(50, 70), 7)
    assert [found[name] for name in order] == ["test"] * 50 + ["val"] * 70 + ["train"] * 280


def test_another_seed_gives_another_split() -> None:
    assert assign(PHOTOGRAPHS, shares(50, 0.2), 0) != assign(PHOTOGRAPHS, shares(50, 0.2), 1)


def test_a_group_never_lands_on_two_sides() -> None:
    for seed in range(20):
        found = assign(FRAMES, shares(10, 0.3), seed)
        sides = {(frame.group, found[frame.name]) for frame in FRAMES}
        assert len(sides) == 20


def test_groups_overshoot_by_less_than_one_group() -> None:
    # 60 frames in videos of 1 to 5.
    for seed in range(20):
        counts = Counter(assign(FRAMES, shares(10, 15), seed).values())
        assert 10 <= counts["test"] < 15
        assert 15 <= counts["val"] < 20


def test_added_pairs_move_few_others() -> None:
    before = assign(PHOTOGRAPHS, shares(50, 70), 0)
    after = assign([*PHOTOGRAPHS, pair("new")], shares(50, 70), 0)
    assert sum(before[name] != after[name] for name in before) <= 2


def test_an_official_split_is_taken_as_it_is() -> None:
    pairs = [pair("a", official="train"), pair("b", official="val")]
    assert assign(pairs, SimpleNamespace(kind="official"), 0) == {"a": "train", "b": "val"}


@pytest.mark.parametrize("official", [None, "trn"])
def test_a_pair_without_an_official_split_is_named(official: str | None) -> None:
    with pytest.raises(ValueError, match=r"b\.png has the official split"):
        assign([pair("a", official="train"), pair("b", official=official)], SimpleNamespace(kind="official"), 0)


@pytest.mark.parametrize(
    ("test", "val", "named"), [(401, 1, "test"), (0.001, 1, "test"), (300, 101, "val"), (50, 350, "val")]
)
def test_a_split_that_cannot_be_filled_is_named(test: int | float, val: int | float, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        assign(PHOTOGRAPHS, shares(test, val), 0)


def test_a_single_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="takes the last of 3 images in 1 groups; train needs some"):
        assign([pair(str(i), "video") for i in range(3)], shares(1, 1), 0)
