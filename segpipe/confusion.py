"""The confusion matrix: one exact int64 count over a whole split, on which every overlap metric stands."""

from __future__ import annotations

import numpy as np

from segpipe.labels import IGNORE

COUNTED_AT_ONCE = 1 << 24
"""OpenCV counts pairs of bytes fastest, but hands the counts over as floats, which are exact up to here."""

STRANDS = 4
"""Neighbours are mostly alike, and to count a pair again a processor waits for the last time: far pixels take turns."""


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, num_classes: int, source: str = "") -> np.ndarray:
    """Pixel counts by (true class, predicted class): [C, C] int64. Ignored pixels count nowhere."""
    if truth.shape != prediction.shape:
        raise ValueError(f"{source or 'a mask'} is {truth.shape} and its prediction {prediction.shape}: expected equal")
    for ids in (truth, prediction):
        if ids.dtype != np.uint8 and ids.size and not 0 <= ids.min() <= ids.max() <= IGNORE:
            found = f"{source or 'a mask'} or its prediction holds ids from {ids.min()} to {ids.max()}"
            raise ValueError(f"{found}, and class ids are 0 to {IGNORE}. Remap them first: segpipe/labels.py")
    counts = pair_counts(truth.astype(np.uint8, copy=False), prediction.astype(np.uint8, copy=False))
    _refuse_unknown_ids(counts, num_classes, source)  # ignored truth lies in a row that is cut off
    return counts[:num_classes, :num_classes].copy()


def pair_counts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How often each pair of bytes lies at one place of two uint8 arrays: [256, 256] int64."""
    import cv2

    counts = np.zeros((256, 256), np.int64)
    flat = [np.ascontiguousarray(each).reshape(1, -1) for each in (first, second)]
    for start in range(0, first.size, COUNTED_AT_ONCE):
        parts = [_in_turn(each[:, start : start + COUNTED_AT_ONCE]) for each in flat]
        counts += cv2.calcHist(parts, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    return counts


def _in_turn(pixels: np.ndarray) -> np.ndarray:
    """The same pixels [1, N], one from each quarter in turn."""
    import cv2

    whole = pixels.size - pixels.size % STRANDS
    if not whole:
        return pixels
    mixed: np.ndarray = cv2.merge(np.split(pixels[:, :whole], STRANDS, 1)).reshape(1, -1)
    return np.concatenate([mixed, pixels[:, whole:]], 1)


def _refuse_unknown_ids(counts: np.ndarray, num_classes: int, source: str) -> None:
    unknown = [int(i) for i in np.flatnonzero(counts.any(1)) if num_classes <= i != IGNORE]
    if unknown:
        raise ValueError(
            f"the truth {source} holds class ids {unknown}, outside the label table of {num_classes} classes. "
            "Prepare the data again: `dvc repro preprocess`"
        )
    if counts[:num_classes, num_classes:].any():
        raise ValueError(
            f"the prediction for {source} holds class ids beyond the {num_classes} of its label table. "
            "The model was built for more classes: train it again"
        )
