"""How sure a difference between two models is: the paired bootstrap over the images that both were scored on."""

from __future__ import annotations

import numpy as np

from segpipe.metrics.bootstrap import RESAMPLES, miou, resampled_sums


def lower_bound_of_difference(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray], resamples: int = RESAMPLES
) -> float:
    """The lower end of the 95 % interval of mIoU(ours) − mIoU(theirs), from (intersection, union) by image: [N, C]."""
    if ours[0].shape != theirs[0].shape:
        raise ValueError(f"counts of {ours[0].shape} and of {theirs[0].shape} images and classes cannot be compared")
    sums = resampled_sums(np.stack([*ours, *theirs], 1), resamples)  # [resamples, 4, C]
    return float(np.percentile(miou(sums[:, 0], sums[:, 1]) - miou(sums[:, 2], sums[:, 3]), 2.5))
