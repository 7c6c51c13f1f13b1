"""Sizes of regions against a flood fill in plain Python, and their IoU against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from segpipe.confusion import confusion_matrix
from segpipe.metrics import overlap
from segpipe.metrics.sizes import iou_by_size, size_counts


def flooded(truth: np.ndarray) -> np.ndarray:
    """0 for small, 1 for medium, 2 for large: each region's pixels counted one by one."""
    sizes = np.full(truth.shape, -1)
    for start in np.ndindex(*truth.shape):
        if sizes[start] >= 0:
            continue
        region, edge = {start}, [start]
        while edge:
            y, x = edge.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                is_inside = 0 <= near[0] < truth.shape[0] and 0 <= near[1] < truth.shape[1]
                if is_inside and near not in region and truth[near] == truth[start]:
                    region.add(near)
                    edge.append(near)
        share = len(region) / truth.size
        for pixel in region:
            sizes[pixel] = 0 if share < 32**2 / 307_200 else 1 if share < 96**2 / 307_200 else 2
    return sizes


def specks(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of many sizes, some pixels ignored, and a prediction that is half right."""
    rng = np.random.default_rng(num_classes)
    truth = np.zeros((40, 60), np.uint8)
    for _ in range(60):
        (y, x), (h, w) = rng.integers(0, 40, 2), rng.integers(1, 14, 2)
        truth[y : y + h, x : x + w] = rng.integers(0, num_classes)
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, num_classes, truth.shape))
    truth[rng.random(truth.shape) < 0.02] = 255
    return truth, predicted.astype(np.uint8)


@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_hits_and_pixels_are_those_of_a_flood_fill(num_classes: int) -> None:
    truth, predicted = specks(num_classes)
    sizes, (hits, pixels) = flooded(truth), size_counts(truth, predicted, num_classes)
    assert set(sizes[truth != 255].tolist()) == {0, 1, 2}
    for size in range(3):
        for class_id in range(num_classes):
            region = (sizes == size) & (truth == class_id)
            assert pixels[size, class_id] == region.sum()
            assert hits[size, class_id] == (region & (predicted == class_id)).sum()


def test_regions_that_touch_at_a_corner_are_two() -> None:
    # 30x40: small is below 4 pixels, large from 36 on. Two lines of 3 are small; one region of 7 would not be.
    truth = np.zeros((30, 40), np.uint8)
    truth[5, 5:8] = truth[6, 8:11] = 1
    _, pixels = size_counts(truth, truth, 2)
    assert pixels[:, 1].tolist() == [6, 0, 0]
    truth[6, 7] = 1  # now their sides touch: 7 pixels in one region
    _, pixels = size_counts(truth, truth, 2)
    assert pixels[:, 1].tolist() == [0, 7, 0]


def test_the_ious_by_hand() -> None:
    # Class 1 has 3 small pixels, of which 1 is hit, and 57 large ones, of which 48 are hit; 12 pixels are wrongly 1.
    # The small ones bear 12 · 3/60 of those: 1 / (3 + 0.6); the large ones 48 / (57 + 11.4).
    counts = np.zeros((2, 3, 2), np.int64)
    counts[0, :, 1], counts[1, :, 1] = (1, 0, 48), (3, 0, 57)
    confusion = np.array([[100, 12], [11, 49]])
    small, medium, large = iou_by_size(counts, confusion)[:, 1]
    assert small == pytest.approx(1 / 3.6)
    assert np.isnan(medium)
    assert large == pytest.approx(48 / 68.4)


@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_the_sizes_put_together_are_the_class_again(num_classes: int) -> None:
    truth, predicted = specks(num_classes)
    counts, confusion = size_counts(truth, predicted, num_classes), confusion_matrix(truth, predicted, num_classes)
    iou = iou_by_size(counts, confusion)
    unions = np.divide(counts[0], iou, out=np.zeros(iou.shape), where=np.nan_to_num(iou) > 0)
    assert (unions[counts[0] == 0] == 0).all()
    missed = counts[1] * (counts[0] == 0) * (1 + (confusion.sum(0) - np.diag(confusion)) / confusion.sum(1))
    together = counts[0].sum(0) / (unions + missed).sum(0)
    assert together == pytest.approx(overlap.per_class(confusion)["iou"])


def test_a_class_that_is_only_predicted_has_no_size() -> None:
    truth = np.zeros((20, 20), np.uint8)
    predicted = truth.copy()
    predicted[3:9] = 1
    confusion = confusion_matrix(truth, predicted, 2)
    assert np.isnan(iou_by_size(size_counts(truth, predicted, 2), confusion)[:, 1]).all()
