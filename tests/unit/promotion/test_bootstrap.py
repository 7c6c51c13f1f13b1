"""The bound of a difference against a bootstrap in plain loops, on the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from segpipe.metrics.bootstrap import miou
from segpipe.promotion.bootstrap import lower_bound_of_difference

Counts = tuple[np.ndarray, np.ndarray]


def counts(images: int, classes: int, quality: float, seed: int = 0) -> Counts:
    """Pixel counts by image and class; some classes are absent from some images."""
    union = np.random.default_rng(seed).integers(0, 200, (images, classes)).astype(float)
    union[np.random.default_rng(seed + 1).random(union.shape) < 0.2] = 0
    noise = np.random.default_rng(seed + 2).uniform(0.9, 1, union.shape)
    return np.floor(union * quality * noise), union


def slow_bound(ours: Counts, theirs: Counts, resamples: int) -> float:
    images = len(ours[0])
    drawn = np.random.default_rng(0).integers(0, images, (resamples, images))
    differences = []
    for row in drawn:
        scores = []
        for intersection, union in (ours, theirs):
            ious = []
            for class_id in range(union.shape[1]):
                total = sum(union[image, class_id] for image in row)
                if total > 0:
                    ious.append(sum(intersection[image, class_id] for image in row) / total)
            scores.append(sum(ious) / len(ious))
        differences.append(scores[0] - scores[1])
    ordered = sorted(differences)
    place = 0.025 * (resamples - 1)
    low = int(place)
    return float(ordered[low] + (place - low) * (ordered[low + 1] - ordered[low]))


@pytest.mark.parametrize(("images", "classes"), [(1, 2), (7, 2), (12, 5)])
def test_the_bound_is_that_of_the_plain_loops(images: int, classes: int) -> None:
    ours, theirs = counts(images, classes, 0.8), counts(images, classes, 0.75, seed=5)
    assert lower_bound_of_difference(ours, theirs, 200) == pytest.approx(slow_bound(ours, theirs, 200), abs=1e-12)


def test_identical_models_differ_by_exactly_nothing() -> None:
    ours = counts(40, 5, 0.7)
    assert lower_bound_of_difference(ours, (ours[0].copy(), ours[1].copy())) == 0.0


def test_a_clearly_better_model_has_a_bound_above_zero() -> None:
    better, worse = counts(40, 5, 0.9), counts(40, 5, 0.6)
    assert 0.2 < lower_bound_of_difference(better, worse) < 0.4
    assert -0.4 < lower_bound_of_difference(worse, better) < -0.2


def test_the_bound_lies_below_the_difference_itself() -> None:
    ours, theirs = counts(15, 3, 0.8), counts(15, 3, 0.8, seed=9)
    difference = miou(ours[0].sum(0), ours[1].sum(0)) - miou(theirs[0].sum(0), theirs[1].sum(0))
    assert lower_bound_of_difference(ours, theirs) < difference


def test_the_same_question_has_the_same_answer() -> None:
    ours, theirs = counts(20, 3, 0.8), counts(20, 3, 0.7, seed=3)
    assert lower_bound_of_difference(ours, theirs) == lower_bound_of_difference(ours, theirs)


def test_images_are_drawn_in_pairs() -> None:
    """Hard and easy images, on all of which ours is better by the same: only pairing makes that certain."""
    union = np.full((30, 2), 100.0)
    theirs = np.random.default_rng(0).integers(10, 90, (30, 2)).astype(float)
    assert lower_bound_of_difference((theirs + 5, union), (theirs, union)) == pytest.approx(0.05)


def test_a_class_that_is_nowhere_is_left_out_of_the_mean() -> None:
    intersection, union = np.array([[3.0, 0.0, 1.0]]), np.array([[4.0, 0.0, 2.0]])
    assert miou(intersection, union).tolist() == [(3 / 4 + 1 / 2) / 2]
