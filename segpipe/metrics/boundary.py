"""Boundary IoU (Cheng et al., CVPR 2021): the IoU of what of each class lies near the border of its regions."""

from __future__ import annotations

import math

import numpy as np

from segpipe.confusion import pair_counts
from segpipe.labels import IGNORE


def reach(size: tuple[int, int], share: float) -> int:
    """How many pixels deep a boundary is: a share of the image's diagonal, one at least."""
    return max(1, round(share * math.hypot(*size)))


def boundary_counts(truth: np.ndarray, predicted: np.ndarray, num_classes: int, share: float) -> np.ndarray:
    """Intersection and union of the classes' boundaries, in pixels: [2, C] int64.

    Ignored pixels are no part of any region, neither of the truth's nor of the prediction's.
    """
    deep = reach((truth.shape[0], truth.shape[1]), share)
    seen = np.where(truth == IGNORE, np.uint8(IGNORE), predicted)
    counts = pair_counts(_boundaries(truth, deep), _boundaries(seen, deep))
    hits = np.diag(counts)[:num_classes]
    return np.stack([hits, counts.sum(1)[:num_classes] + counts.sum(0)[:num_classes] - hits])


def _boundaries(ids: np.ndarray, deep: int) -> np.ndarray:
    """The class ids [H, W], without what erosion leaves of each class: 3x3, `deep` times, beyond the image nothing."""
    import cv2

    # All classes at once: a pixel is left by the erosion of its class if no other id lies in the square around it.
    square = np.ones((2 * deep + 1, 2 * deep + 1), np.uint8)
    outside = {"borderType": cv2.BORDER_CONSTANT, "borderValue": IGNORE}
    is_inner = cv2.erode(ids, square, **outside) == cv2.dilate(ids, square, **outside)
    return np.where(is_inner, np.uint8(IGNORE), ids)
