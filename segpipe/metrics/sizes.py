"""IoU by the size of things: what small, medium and large connected regions of the truth are worth."""

from __future__ import annotations

import numpy as np

from segpipe.confusion import pair_counts

SIZES = ("small", "medium", "large")

MEDIUM, LARGE = 32**2 / (480 * 640), 96**2 / (480 * 640)
"""From which share of the image a region is no longer small, and large: COCO's areas, in images as large as COCO's."""


def size_counts(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Of each size and class, the pixels that were hit, and all of them: [2, 3, C] int64."""
    coded = _sizes(truth) * 2 + (truth == predicted)
    missed_and_hit = pair_counts(truth, coded)[:num_classes, : 2 * len(SIZES)].reshape(num_classes, len(SIZES), 2)
    return np.stack([missed_and_hit[..., 1].T, missed_and_hit.sum(2).T])


def iou_by_size(counts: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Counts [2, 3, C] and the confusion of the same pixels -> IoU by size and class [3, C]; NaN where there is none.

    Nobody can say whether a pixel that wrongly has a class was meant as a small region or a large one: each size takes
    the part of them that it has of the class's pixels. So the sizes put together have the class's own IoU again.
    """
    hits, pixels = counts.astype(float)
    truth = confusion.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = (confusion.sum(0) - np.diag(confusion)) / truth
        iou: np.ndarray = hits / (pixels * (1 + wrong))
    return iou


def _sizes(truth: np.ndarray) -> np.ndarray:
    """For each pixel, the place in SIZES of the connected region that it lies in: [H, W] uint8."""
    import cv2

    # Of all classes in one pass: between pixels lie bridges, which stand where both sides are of one class.
    height, width = truth.shape
    ground = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    ground[::2, ::2] = 1
    ground[::2, 1::2] = truth[:, 1:] == truth[:, :-1]
    ground[1::2, ::2] = truth[1:] == truth[:-1]
    _, regions = cv2.connectedComponents(ground, connectivity=4)
    of_pixels = regions[::2, ::2]
    areas = np.bincount(of_pixels.ravel())
    sizes: np.ndarray = np.digitize(areas, [MEDIUM * truth.size, LARGE * truth.size]).astype(np.uint8)[of_pixels]
    return sizes
