"""The confusion matrix: one exact int64 count over a whole split, on which every overlap metric stands."""

from __future__ import annotations

import numpy as np

from segpipe.labels import IGNORE


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, num_classes: int, source: str = "") -> np.ndarray:
    """Pixel counts by (true class, predicted class): [C, C] int64. Ignored pixels count nowhere."""
    if truth.shape != prediction.shape:
        raise ValueError(f"{source or 'a mask'} is {truth.shape} and its prediction {prediction.shape}: expected equal")
    for ids in (truth, prediction):
        if ids.dtype != np.uint8 and ids.size and not 0 <= ids.min() <= ids.max() <= IGNORE:
            found = f"{source or 'a mask'} or its prediction holds ids from {ids.min()} to {ids.max()}"
            raise ValueError(f"{found}, and class ids are 0 to {IGNORE}. Remap them first: segpipe/labels.py")
    # Class ids fit in a byte, so a pair fits in 16 bits: ignored truth lands in rows that are cut off below.
    pair = (truth.astype(np.uint16) << 8) | prediction.astype(np.uint16)
    counts = np.bincount(pair.ravel(), minlength=1 << 16).reshape(256, 256)
    _refuse_unknown_ids(counts, num_classes, source)
    return counts[:num_classes, :num_classes].astype(np.int64)


def _refuse_unknown_ids(counts: np.ndarray, num_classes: int, source: str) -> None:
    unknown = [int(i) for i in np.flatnonzero(counts.sum(1)) if num_classes <= i != IGNORE]
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
