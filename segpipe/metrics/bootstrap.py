"""How sure a score is: what it would be over other images, drawn again and again from those that there are."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000
AT_ONCE = 100
"""Resamples that are held in memory together."""


def miou(intersection: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Pixel counts [..., C] -> mIoU over the classes that are there: [...]; NaN where there is none."""
    is_there = union > 0
    iou = np.divide(intersection, union, out=np.zeros(union.shape), where=is_there)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = iou.sum(-1) / is_there.sum(-1)
    return mean


def resampled_sums(counts: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """The sum of counts [N, ...] over N images drawn with replacement, so many times: [resamples, ...] float64.

    Two models that are scored on the same images meet the same draws: their difference is a paired one.
    """
    rng, num_images = np.random.default_rng(seed), len(counts)
    flat = counts.reshape(num_images, -1).astype(float)
    sums = []
    for start in range(0, resamples, AT_ONCE):
        drawn = rng.integers(0, num_images, (min(AT_ONCE, resamples - start), num_images))
        # How often each image was drawn turns every resample into one matrix product.
        times = np.stack([np.bincount(row, minlength=num_images) for row in drawn]).astype(float)
        sums.append(times @ flat)
    return np.concatenate(sums).reshape(resamples, *counts.shape[1:])


def interval(scores: np.ndarray) -> list[float] | None:
    """The middle 95 % of what the resamples scored; None where they have no score."""
    known = scores[~np.isnan(scores)]
    return [float(bound) for bound in np.percentile(known, [2.5, 97.5])] if len(known) else None


def intervals(intersection: np.ndarray, union: np.ndarray, truth: np.ndarray) -> dict[str, list[float] | None]:
    """95 % intervals over images of mIoU and pixel accuracy, from pixel counts by image and class, [N, C] each."""
    hits, unions, pixels = resampled_sums(np.stack([intersection, union, truth], 1)).swapaxes(0, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = hits.sum(-1) / pixels.sum(-1)
    return {"miou": interval(miou(hits, unions)), "pixel_accuracy": interval(accuracy)}
