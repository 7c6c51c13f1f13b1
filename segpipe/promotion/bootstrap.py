"""How sure a difference between two models is: the paired bootstrap over the images that both were scored on."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000


def miou(intersection: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Pixel counts [..., C] -> mIoU over the classes that are there: [...]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = np.nanmean(intersection / np.where(union > 0, union, np.nan), axis=-1)
    return result


def lower_bound_of_difference(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray], resamples: int = RESAMPLES
) -> float:
    """The lower end of the 95 % interval of mIoU(ours) − mIoU(theirs), from (intersection, union) by image: [N, C]."""
    if ours[0].shape != theirs[0].shape:
        raise ValueError(f"counts of {ours[0].shape} and of {theirs[0].shape} images and classes cannot be compared")
    num_images = len(ours[0])
    drawn = np.random.default_rng(0).integers(0, num_images, (resamples, num_images))
    # How often each image was drawn turns every resample into one matrix product.
    times = np.stack([np.bincount(row, minlength=num_images) for row in drawn]).astype(float)
    ours_miou, their_miou = (miou(times @ intersection, times @ union) for intersection, union in (ours, theirs))
    return float(np.percentile(ours_miou - their_miou, 2.5))
