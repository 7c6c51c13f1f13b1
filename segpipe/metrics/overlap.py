"""What one confusion matrix says: IoU, Dice, precision, recall by class, and their means over a split."""

from __future__ import annotations

from typing import Any

import numpy as np


def class_counts(confusion: np.ndarray) -> np.ndarray:
    """Intersection, union and truth of each class, in pixels: [3, C] int64."""
    hits, truth = np.diag(confusion), confusion.sum(1)
    return np.stack([hits, truth + confusion.sum(0) - hits, truth])


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """`iou`, `dice`, `precision`, `recall` and `support` by class; NaN where there is nothing to divide by."""
    hits = np.diag(confusion).astype(float)
    truth, predicted = confusion.sum(1).astype(float), confusion.sum(0).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "iou": hits / (truth + predicted - hits),
            "dice": 2 * hits / (truth + predicted),
            "precision": hits / predicted,
            "recall": hits / truth,
            "support": confusion.sum(1),
        }


OVERALL = ("miou", "miou_absent_as_zero", "pixel_accuracy", "mpa", "mean_dice", "fwiou")


def overall(confusion: np.ndarray) -> dict[str, float]:
    """The scores of a whole split; a class absent from truth and prediction has no IoU: `miou` averages the others."""
    scores = per_class(confusion)
    pixels = confusion.sum()
    if pixels == 0:
        return dict.fromkeys(OVERALL, float("nan"))
    return {
        "miou": float(np.nanmean(scores["iou"])),
        "miou_absent_as_zero": float(np.nan_to_num(scores["iou"]).mean()),
        "pixel_accuracy": float(np.diag(confusion).sum() / pixels),
        "mpa": float(np.nanmean(scores["recall"])),
        "mean_dice": float(np.nanmean(scores["dice"])),
        "fwiou": float(np.nansum(scores["iou"] * scores["support"]) / pixels),
    }


def table(confusion: np.ndarray, class_names: list[str]) -> dict[str, Any]:
    """The scores by class name; what does not exist is None, so that JSON can hold it."""
    columns = per_class(confusion)
    return {
        name: {
            metric: int(values[i]) if metric == "support" else (None if np.isnan(values[i]) else float(values[i]))
            for metric, values in columns.items()
        }
        for i, name in enumerate(class_names)
    }
