"""What other libraries would say of the same predictions, from the counts that we have: their mIoU is seldom ours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segpipe.metrics import overlap

VOID = "void"
"""The class of cityscapes_20 that the official benchmark ignores."""


@dataclass(frozen=True)
class Counts:
    """The confusion of a split [C, C], and by image and class the intersection, union and truth, [N, C] each."""

    confusion: np.ndarray
    intersection: np.ndarray
    union: np.ndarray
    truth: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """By image and class; NaN where the class is not in the image."""
        with np.errstate(invalid="ignore", divide="ignore"):
            iou: np.ndarray = self.intersection / self.union
        return iou


@dataclass(frozen=True)
class Convention:
    """One way of making a number of counts, and in what it differs from segpipe's."""

    library: str
    metric: str
    why: str
    value: Callable[[Counts], float]


def _segpipe(counts: Counts) -> float:
    return overlap.overall(counts.confusion)["miou"]


def _absent_classes_solved(counts: Counts) -> float:
    return float(np.nan_to_num(overlap.per_class(counts.confusion)["iou"], nan=1.0).mean())


def _absent_in_image_solved(counts: Counts) -> float:
    return float(np.nan_to_num(counts.iou, nan=1.0).mean())


def _mean_over_images_and_classes(counts: Counts) -> float:
    is_there = counts.union > 0
    return float(counts.iou[is_there].mean()) if is_there.any() else float("nan")


def _classes_put_together(counts: Counts) -> float:
    """An image without a counted pixel is scored 1."""
    hits, unions = counts.intersection.sum(1), counts.union.sum(1)
    return float(np.divide(hits, unions, out=np.ones(len(hits)), where=unions > 0).mean())


def _no_number_for_absent(counts: Counts) -> float:
    return float(overlap.per_class(counts.confusion)["iou"].mean())


CONVENTIONS = (
    Convention(
        "segpipe",
        "miou",
        "one confusion matrix over all images; a class that is in neither truth nor prediction has no IoU",
        _segpipe,
    ),
    Convention(
        "segpipe",
        "miou_absent_as_zero",
        "the same, where a class that is nowhere counts as missed",
        lambda counts: overlap.overall(counts.confusion)["miou_absent_as_zero"],
    ),
    Convention(
        "torchmetrics",
        "MulticlassJaccardIndex(average='macro')",
        "the same counts and the same mean over the classes that are there, in float32",
        _segpipe,
    ),
    Convention(
        "torchmetrics",
        "segmentation.MeanIoU",
        "an IoU for each image and class that is in it, and the mean of all of them: a small patch in one image weighs "
        "as much as a whole street in another. It knows no ignored pixels",
        _mean_over_images_and_classes,
    ),
    Convention(
        "smp",
        "iou_score(reduction='macro')",
        "one count over all images, but a class that is nowhere counts as solved (zero_division=1)",
        _absent_classes_solved,
    ),
    Convention(
        "smp",
        "iou_score(reduction='macro-imagewise')",
        "an IoU for each image and class, where a class that is not in an image counts as solved: the more classes and "
        "the fewer in an image, the higher",
        _absent_in_image_solved,
    ),
    Convention(
        "smp",
        "iou_score(reduction='micro-imagewise')",
        "the classes of an image put together, then the mean over images: what is frequent decides",
        _classes_put_together,
    ),
    Convention(
        "torchvision",
        "references/segmentation ConfusionMatrix, mean IoU",
        "one count over all images; a class that is nowhere makes the mean no number at all",
        _no_number_for_absent,
    ),
    Convention(
        "Hugging Face",
        "evaluate mean_iou",
        "intersections and unions added up over all images, and the mean over the classes that are there: the same",
        _segpipe,
    ),
)


def parity(counts: Counts, view: str, class_names: list[str]) -> list[dict[str, Any]]:
    """The content of parity.json: library, metric, value (None where there is no number) and why it differs."""
    known = (*CONVENTIONS, _of_cityscapes(class_names)) if view.startswith("cityscapes") else CONVENTIONS
    rows = [(each, each.value(counts)) for each in known]
    return [
        {
            "library": each.library,
            "metric": each.metric,
            "value": None if math.isnan(value) else value,
            "why": each.why,
        }
        for each, value in rows
    ]


def _of_cityscapes(class_names: list[str]) -> Convention:
    is_scored = np.array([name != VOID for name in class_names])

    def official(counts: Counts) -> float:
        """Void's own row counts nowhere; to say void of another class is a miss."""
        of_known = counts.confusion[is_scored]
        hits = np.diag(counts.confusion)[is_scored]
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = hits / (of_known.sum(1) + of_known.sum(0)[is_scored] - hits)
        return float(np.nanmean(iou)) if hits.size and not np.isnan(iou).all() else float("nan")

    return Convention(
        "cityscapesscripts",
        "evalPixelLevelSemanticLabeling, classes",
        "the 19 classes of the benchmark: pixels that are void in the truth count nowhere, and void, where it is "
        "predicted, is a miss of the true class",
        official,
    )
