"""Boundary IoU against erosion class by class, as its paper has it, and against a case worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segpipe.metrics.boundary import boundary_counts, reach


def published_boundary(mask: np.ndarray, deep: int) -> np.ndarray:
    """Of one binary mask: zeros around it, eroded by 3x3 so many times, and what that took away."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=deep)[1:-1, 1:-1]
    boundary: np.ndarray = mask & (eroded == 0)
    return boundary


def scene(num_classes: int, ignored: float, size: tuple[int, int] = (40, 56)) -> tuple[np.ndarray, np.ndarray]:
    """Slanted stripes and specks, and the same a little moved."""
    rng = np.random.default_rng(num_classes)
    y, x = np.mgrid[: size[0], : size[1]]
    truth = ((x + y // 2) // 13 % num_classes).astype(np.uint8)
    truth[rng.random(size) < 0.01] = num_classes - 1
    predicted = np.roll(truth, (1, 2), (0, 1))
    truth[rng.random(size) < ignored] = 255
    return truth, predicted


@pytest.mark.parametrize("share", [0.001, 0.02, 0.05, 0.4])
@pytest.mark.parametrize("ignored", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_it_equals_the_published_erosion_class_by_class(num_classes: int, ignored: float, share: float) -> None:
    truth, predicted = scene(num_classes, ignored)
    deep = reach((40, 56), share)
    intersections, unions = boundary_counts(truth, predicted, num_classes, share)
    for class_id in range(num_classes):
        of_truth = published_boundary(truth == class_id, deep)
        of_prediction = published_boundary((predicted == class_id) & (truth != 255), deep)
        assert intersections[class_id] == (of_truth & of_prediction).sum()
        assert unions[class_id] == (of_truth | of_prediction).sum()


def test_two_squares_by_hand() -> None:
    # Depth 1 of a 4x4 square is its ring of 12 pixels; moved by one, the rings share 3 of the top and 3 of the bottom.
    truth, predicted = np.zeros((12, 12), np.uint8), np.zeros((12, 12), np.uint8)
    truth[4:8, 4:8] = predicted[4:8, 5:9] = 1
    intersections, unions = boundary_counts(truth, predicted, 2, 0.02)
    assert reach((12, 12), 0.02) == 1
    assert (intersections[1], unions[1]) == (6, 18)
    # Of class 0: the image's edge, 44, is in both. Around each square lie 20 more: the two share 5 above and 5 below.
    assert (intersections[0], unions[0]) == (44 + 10, 44 + 30)


def test_the_same_mask_has_everything_in_common() -> None:
    truth, _ = scene(5, 0.01)
    intersections, unions = boundary_counts(truth, truth, 5, 0.02)
    assert np.array_equal(intersections, unions)
    assert unions.sum() > 0


def test_an_error_inside_counts_less_than_one_at_the_border_does_not_count_at_all_far_from_both() -> None:
    """Deep inside, what is wrong is a boundary of its own; the true boundary is untouched."""
    truth = np.zeros((100, 100), np.uint8)
    truth[20:80, 20:80] = 1
    predicted = truth.copy()
    predicted[48:52, 48:52] = 0
    intersections, unions = boundary_counts(truth, predicted, 2, 0.02)  # depth round(2.83) = 3
    ring = 60**2 - 54**2
    around_the_hole = 10**2 - 4**2
    assert (intersections[1], unions[1]) == (ring, ring + around_the_hole)


@pytest.mark.parametrize(("size", "deep"), [((512, 1024), 23), ((480, 640), 16), ((10, 10), 1), ((2, 2), 1)])
def test_the_depth_is_a_share_of_the_diagonal_and_one_at_least(size: tuple[int, int], deep: int) -> None:
    assert reach(size, 0.02) == deep
