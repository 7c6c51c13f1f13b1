"""Pixels that differ are counted from below, by hand, and never more than there are."""

from __future__ import annotations

import numpy as np
import pytest

from segpipe.confusion import confusion_matrix
from segpipe.promotion.evidence import ImageCounts
from segpipe.promotion.recount import Confusions, counts, miou, num_differing_pixels


def of(prediction: list[int], truth: list[int]) -> Confusions:
    return {"a": confusion_matrix(np.array([truth], np.uint8), np.array([prediction], np.uint8), 3)}


def differing(before: list[int], after: list[int], truth: list[int]) -> int:
    return num_differing_pixels(counts(of(before, truth)), counts(of(after, truth)))


def test_the_counts_are_those_of_the_table_that_evaluate_writes() -> None:
    # Class 0 is right once of two, and predicted once more; class 1 is right in 2 of 3; class 2 is nowhere.
    found = counts(of([0, 1, 1, 1, 0], [0, 0, 1, 1, 1]))
    assert found == {"a": ImageCounts(intersection=[1, 2, 0], union=[3, 4, 0])}


def test_the_score_is_that_of_all_images_together() -> None:
    both = {"a": np.array([[1, 1], [0, 2]]), "b": np.array([[3, 0], [1, 0]])}
    # Together: [[4, 1], [1, 2]]: class 0 has 4 of 6, class 1 2 of 4.
    assert miou(both) == (4 / 6 + 2 / 4) / 2


@pytest.mark.parametrize(
    ("before", "after", "truth", "expected"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0], 0),
        ([0, 0, 1, 1], [0, 0, 1, 0], [0, 1, 1, 0], 1),  # one turns right
        ([0, 0, 1, 1], [1, 0, 1, 1], [0, 1, 1, 0], 1),  # one turns wrong
        ([0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], 4),
        ([0, 1, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1], 2),  # two change places: each class keeps its number of pixels
        ([1, 1], [2, 2], [0, 0], 2),  # from wrong to wrong
        ([1, 2], [2, 1], [0, 0], 0),  # which counts cannot see: it is a lower bound
        ([0, 1], [1, 0], [255, 255], 0),  # pixels that count nowhere
    ],
)
def test_each_pixel_that_counts_show_to_differ_is_counted_once(
    before: list[int], after: list[int], truth: list[int], expected: int
) -> None:
    assert differing(before, after, truth) == differing(after, before, truth) == expected


def test_never_more_pixels_differ_than_really_do() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        truth, before, after = (rng.integers(0, 3, 12).tolist() for _ in range(3))
        really = sum(a != b for a, b in zip(before, after, strict=True))
        assert differing(before, after, truth) <= really


def test_other_images_cannot_be_compared() -> None:
    one = counts(of([0], [0]))
    with pytest.raises(ValueError, match="image b"):
        num_differing_pixels(one, {**one, "b": one["a"]})
