"""Calibration: whether a model is right as often as it says, and the temperature that makes it more so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BINS = 15

UNIT = 1 << 24
"""Confidences are added up as whole numbers of this part of 1: exact, in whatever order images come."""


def reliability(confidence: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """Pixels, right ones, and confidence in UNITs, by equal bins of confidence: [3, BINS] int64."""
    bins = np.minimum((confidence * np.float32(BINS)).astype(np.uint8), BINS - 1)
    wrong_and_right = np.bincount((bins << 1 | is_right).ravel(), minlength=2 * BINS).reshape(BINS, 2)
    confident = np.bincount(bins.ravel(), np.rint(confidence * np.float32(UNIT)).ravel(), BINS)
    return np.stack([wrong_and_right.sum(1), wrong_and_right[:, 1], confident.astype(np.int64)])


def expected_calibration_error(counts: np.ndarray) -> float:
    """The mean over pixels of how far confidence and accuracy of their bin lie apart; NaN without pixels."""
    pixels, right, confident = counts
    total = pixels.sum()
    return float(np.abs(confident / UNIT - right).sum() / total) if total else float("nan")


def rows(counts: np.ndarray) -> Iterator[dict[str, Any]]:
    """The reliability diagram: a row a bin; an empty one has neither confidence nor accuracy."""
    for number, (pixels, right, confident) in enumerate(counts.T.tolist()):
        means = {"confidence": confident / UNIT / pixels, "accuracy": right / pixels} if pixels else {}
        yield {"lower": number / BINS, "upper": (number + 1) / BINS, "pixels": pixels, **means}


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """By what to divide logits [N, C], so that their cross entropy with the true classes [N] is the least; 1 for none.

    The cross entropy is convex in 1/T: where its slope changes its sign is found by bisection, between 1/64 and 64.
    """
    if not len(truth):
        return 1.0
    logits = logits.astype(float) - logits.max(1, keepdims=True)
    of_truth = logits[np.arange(len(truth)), truth].mean()

    def slope(inverse: float) -> float:
        likely = np.exp(inverse * logits)
        return float(((likely * logits).sum(1) / likely.sum(1)).mean() - of_truth)

    low, high = -6.0, 6.0  # of log2(1/T)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(2**middle) < 0 else (low, middle)
    return float(2 ** -((low + high) / 2))
