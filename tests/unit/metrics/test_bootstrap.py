"""Resamples against plain loops on the same draws, and intervals that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest

from segpipe.metrics.bootstrap import AT_ONCE, interval, intervals, miou, resampled_sums


def counts(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersection, union and truth of each image and class; some classes are absent from some images."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 200, (images, classes)) * (rng.random((images, classes)) < 0.8)
    intersection = np.floor(truth * rng.uniform(0.4, 1, truth.shape)).astype(int)
    return intersection, truth + rng.integers(0, 30, truth.shape) * (truth > 0), truth


@pytest.mark.parametrize("resamples", [AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 3])
def test_the_sums_are_those_of_one_draw_of_all(resamples: int) -> None:
    values = np.random.default_rng(1).integers(0, 1000, (13, 2, 3))
    drawn = np.random.default_rng(7).integers(0, 13, (resamples, 13))
    assert np.array_equal(resampled_sums(values, resamples, seed=7), values[drawn].sum(1))


def test_the_intervals_are_those_of_plain_loops() -> None:
    intersection, union, truth = counts(9, 4)
    mious, accuracies = [], []
    for row in np.random.default_rng(0).integers(0, 9, (2000, 9)):
        hits, unions, pixels = (each[row].sum(0) for each in (intersection, union, truth))
        mious.append(np.mean([hits[c] / unions[c] for c in range(4) if unions[c]]))
        accuracies.append(hits.sum() / pixels.sum())
    found = intervals(intersection, union, truth)
    assert found["miou"] == pytest.approx(np.percentile(mious, [2.5, 97.5]), abs=1e-12)
    assert found["pixel_accuracy"] == pytest.approx(np.percentile(accuracies, [2.5, 97.5]), abs=1e-12)


def test_the_interval_holds_the_score_and_narrows_with_more_images() -> None:
    widths = []
    for images in (10, 1000):
        intersection, union, truth = counts(images, 3)
        low, high = intervals(intersection, union, truth)["miou"] or (1, 0)
        assert low < miou(intersection.sum(0), union.sum(0)) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5  # by the square root of 100, or so


def test_it_holds_the_true_mean_about_as_often_as_it_says() -> None:
    """One class, in which each image has 100 pixels, and hits that are 70 on average."""
    held = 0
    for seed in range(200):
        hits = np.random.default_rng(seed).binomial(100, 0.7, (40, 1))
        low, high = interval(miou(*resampled_sums(np.stack([hits, np.full((40, 1), 100)], 1), 300).swapaxes(0, 1))) or (
            1,
            0,
        )
        held += low <= 0.7 <= high
    assert 0.88 < held / 200 < 0.99


def test_nothing_counted_has_no_interval() -> None:
    nothing = np.zeros((4, 2), np.int64)
    assert intervals(nothing, nothing, nothing) == {"miou": None, "pixel_accuracy": None}


def test_a_class_that_is_nowhere_is_left_out_of_the_mean() -> None:
    assert miou(np.array([[3, 0, 1]]), np.array([[4, 0, 2]])).tolist() == [(3 / 4 + 1 / 2) / 2]
    assert np.isnan(miou(np.zeros(2), np.zeros(2)))
