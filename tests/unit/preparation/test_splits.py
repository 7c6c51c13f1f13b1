from __future__ import annotations

import random
from collections import Counter
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from segpipe.datasets import Pair
from segpipe.params.schema import OfficialSplit
from segpipe.preparation.splits import assign


def shares(test: int | float, val: int | float) -> SimpleNamespace:
    return SimpleNamespace(kind="shares", test=test, val=val)


def official(held_out: float | None = None) -> OfficialSplit:
    return OfficialSplit(kind="official", held_out=held_out)


def pair(name: str, group: str = "", official: str | None = None) -> Pair:
    return Pair(name, group or name, Path(f"{name}.png"), Path(f"{name}_mask.png"), official)


PHOTOGRAPHS = [pair(f"{i:03d}") for i in range(400)]
FLIGHTS = [
    pair(f"{flight:02d}_{i}", f"{flight:02d}", "val" if flight >= 20 or i == 9 else "train")
    for flight in range(24)
    for i in range(10)
]
"""Twenty flights of nine frames to train, whose tenth validates; four flights to validate."""

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
    assert assign(pairs, official(), 0) == {"a": "train", "b": "val"}


@pytest.mark.parametrize("side", [None, "trn"])
def test_a_pair_without_an_official_split_is_named(side: str | None) -> None:
    with pytest.raises(ValueError, match=r"b\.png has the official split"):
        assign([pair("a", official="train"), pair("b", official=side)], official(), 0)


@pytest.mark.parametrize(
    ("test", "val", "named"), [(401, 1, "test"), (0.001, 1, "test"), (300, 101, "val"), (50, 350, "val")]
)
def test_a_split_that_cannot_be_filled_is_named(test: int | float, val: int | float, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        assign(PHOTOGRAPHS, shares(test, val), 0)


def test_a_single_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="takes the last of 3 images in 1 groups; train needs some"):
        assign([pair(str(i), "video") for i in range(3)], shares(1, 1), 0)


def test_a_held_out_tenth_of_train_validates_and_the_official_val_tests() -> None:
    # 180 frames train officially: a tenth are 18, two flights of nine. 60 validate: 4 x 10, and one of each of the 20.
    assert Counter(assign(FLIGHTS, official(0.1), 0).values()) == {"train": 162, "val": 18, "test": 60}


def test_a_held_out_part_is_made_of_whole_groups_and_overshoots_by_less_than_one() -> None:
    # 15 % of 180 are 27, three flights of nine; 16 % are 28.8, so that a fourth is needed.
    for seed in range(10):
        for share, flights in ((0.15, 3), (0.16, 4)):
            found = assign(FLIGHTS, official(share), seed)
            groups = {side: {p.group for p in FLIGHTS if found[p.name] == side} for side in ("train", "val")}
            assert len(groups["val"]) == flights
            assert not groups["train"] & groups["val"]


def test_of_a_group_on_both_official_sides_only_the_train_part_is_held_out() -> None:
    found = assign(FLIGHTS, official(0.1), 0)
    held_out = {p.group for p in FLIGHTS if found[p.name] == "val"}
    for flight in held_out:
        assert [found[f"{flight}_{i}"] for i in range(10)] == ["val"] * 9 + ["test"]


def test_the_held_out_groups_are_the_first_in_the_order_of_the_hashes() -> None:
    train = sorted({p.group for p in FLIGHTS[:200]}, key=lambda group: sha256(f"7:{group}".encode()).hexdigest())
    found = assign(FLIGHTS, official(0.1), 7)
    assert {p.group for p in FLIGHTS if found[p.name] == "val"} == set(train[:2])
    assert found == assign(random.Random(1).sample(FLIGHTS, len(FLIGHTS)), official(0.1), 7)
    assert found != assign(FLIGHTS, official(0.1), 8)


def test_an_official_split_that_holds_nothing_out_is_not_drawn_at_all() -> None:
    assert (
        assign(FLIGHTS, official(), 0) == assign(FLIGHTS, official(), 1) == {p.name: p.official_split for p in FLIGHTS}
    )


def test_holding_out_is_refused_where_there_is_an_official_test_split() -> None:
    pairs = [*FLIGHTS, pair("tested", official="test")]
    with pytest.raises(
        ValueError, match=r"held_out: 0\.1 for an official split of 180 train, 60 val, 1 test images"
    ) as e:
        assign(pairs, official(0.1), 0)
    assert "Take `held_out` away" in str(e.value)


@pytest.mark.parametrize("side", ["train", "val"])
def test_holding_out_is_refused_where_an_official_side_is_empty(side: str) -> None:
    with pytest.raises(ValueError, match="expects images to train and to validate"):
        assign([p for p in FLIGHTS if p.official_split == side], official(0.1), 0)


def test_a_held_out_part_that_leaves_nothing_to_train_is_refused() -> None:
    pairs = [pair("a", official="train"), pair("b", official="val")]
    with pytest.raises(ValueError, match=r"held_out: 0\.9 takes the last of 1 images in 1 groups; train needs some"):
        assign(pairs, official(0.9), 0)
