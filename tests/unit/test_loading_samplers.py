"""The sampler of rare classes against its formula by hand: epochs are as long as ever, rare images come oftener."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from segpipe.loading import SAMPLERS, Samples, shuffled
from segpipe.params import Experiment
from tests.unit.preparation.test_manifest import packed
from tests.unit.test_loading import NAMES, names, one_thread_of_torch, samples

__all__ = ["one_thread_of_torch", "samples"]


def times(samples: Samples, epoch: int, seed: int = 3) -> Counter[str]:
    return Counter(names(shuffled(samples, 100, "none", "rare_classes", seed, epoch)))


def test_every_sampler_that_params_may_name_is_there() -> None:
    assert get_args(Experiment.model_fields["sampler"].annotation) == tuple(SAMPLERS)


def test_a_rare_class_is_seen_as_often_as_its_factor_says(tmp_path: Path) -> None:
    """One image in 20 has class 1: its factor is sqrt(0.1 / 0.05) = 1.414, its share of 20 20 · 1.414 / 20.414."""
    folder = packed(tmp_path / "town", {"train": [20]})
    np.save(folder / "class_pixels.npy", [[48, 0]] * 12 + [[40, 8]] + [[48, 0]] * 7)
    samples = Samples([folder], "train")
    seen = [times(samples, epoch) for epoch in range(300)]
    assert all(sum(counts.values()) == 20 for counts in seen)
    assert {counts["train-12"] for counts in seen} == {1, 2}
    assert np.mean([counts["train-12"] for counts in seen]) == pytest.approx(1.386, abs=0.09)  # three deviations
    common = [counts[f"train-{number}"] for counts in seen for number in range(12)]
    assert set(common) == {0, 1}
    assert np.mean(common) == pytest.approx((20 - 1.386) / 19, abs=0.01)


def test_without_rare_classes_every_image_comes_once(samples: Samples) -> None:
    orders = [names(shuffled(samples, 3, "none", "rare_classes", 1, epoch)) for epoch in range(5)]
    assert all(sorted(order) == NAMES for order in orders)
    assert len({tuple(order) for order in orders}) == 5


def test_rare_images_lie_anywhere_in_an_epoch_and_apart(tmp_path: Path) -> None:
    folder = packed(tmp_path / "town", {"train": [40]})
    np.save(folder / "class_pixels.npy", [[48, 0]] * 39 + [[0, 48]])  # comes 40 · 2 / 41 = 1.95 times
    samples = Samples([folder], "train")
    orders = [names(shuffled(samples, 8, "none", "rare_classes", 1, epoch)) for epoch in range(40)]
    places = [[place for place, name in enumerate(order) if name == "train-39"] for order in orders]
    assert min(map(min, places)) < 8
    assert max(map(max, places)) >= 32
    apart = [second - first for first, second in filter(lambda pair: len(pair) == 2, places)]
    assert len(apart) > 30
    assert np.mean(apart) > 8  # 13 is to be expected


def test_other_epochs_leave_out_other_images(tmp_path: Path) -> None:
    folder = packed(tmp_path / "town", {"train": [40]})
    np.save(folder / "class_pixels.npy", [[48, 0]] * 39 + [[0, 48]])
    samples = Samples([folder], "train")
    left_out = [set(samples.names) - set(times(samples, epoch)) for epoch in range(40)]
    assert len(set.union(*left_out)) > 15


def test_offline_copies_count_among_the_images(tmp_path: Path) -> None:
    """Class 1 is in 2 of 10 images, too many to be rare, and in 2 of 40 with the copies: 40 · 1.414 / 40.83 = 1.39."""
    town, copies = packed(tmp_path / "town", {"val": [5], "train": [10]}), packed(tmp_path / "copies", {"train": [30]})
    np.save(town / "class_pixels.npy", [[0, 48]] * 5 + [[24, 24]] * 2 + [[48, 0]] * 8)
    np.save(copies / "class_pixels.npy", [[48, 0]] * 30)
    samples = Samples([town, copies], "train")
    assert samples.class_pixels.tolist() == [[24, 24]] * 2 + [[48, 0]] * 38
    assert max(max(times(samples, epoch).values()) for epoch in range(20)) > 1
    alone = Samples([town], "train")
    assert all(set(times(alone, epoch).values()) == {1} for epoch in range(20))
