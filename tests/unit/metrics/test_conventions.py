"""The conventions of other libraries, from our counts, against smp itself and against cases worked out by hand.

`bench/metrics.py` holds them to torchmetrics, mmseg and the official Cityscapes script, which are not in our lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from segmentation_models_pytorch import metrics as smp_metrics

from segpipe.confusion import confusion_matrix
from segpipe.metrics.conventions import Counts, parity
from segpipe.metrics.overlap import class_counts


def predicted(num_classes: int, present: int, images: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Masks in which the last classes are nowhere, and others only in some images."""
    rng = np.random.default_rng(num_classes + present)
    truth = rng.integers(0, present, (images, 20, 30)).astype(np.uint8)
    truth[0][truth[0] == present - 1] = 0
    prediction = np.where(rng.random(truth.shape) < 0.6, truth, rng.permutation(truth)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    return truth, prediction


def counted(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> Counts:
    confusions = [confusion_matrix(t, p, num_classes) for t, p in zip(truth, prediction, strict=True)]
    total: np.ndarray = np.sum(confusions, axis=0)
    return Counts(total, *np.stack([class_counts(each) for each in confusions], 1))


def values(counts: Counts, view: str = "drone", names: list[str] | None = None) -> dict[tuple[str, str], Any]:
    rows = parity(counts, view, names or [str(i) for i in range(len(counts.confusion))])
    assert all(len(row["why"].split()) > 5 for row in rows)
    return {(row["library"], row["metric"]): row["value"] for row in rows}


@pytest.mark.parametrize("reduction", ["macro", "macro-imagewise", "micro-imagewise"])
@pytest.mark.parametrize(("num_classes", "present"), [(2, 2), (5, 3), (20, 20)])
def test_smp_itself_finds_the_same(num_classes: int, present: int, reduction: str) -> None:
    truth, prediction = predicted(num_classes, present)
    stats = smp_metrics.get_stats(
        torch.from_numpy(prediction), torch.from_numpy(truth), "multiclass", num_classes=num_classes, ignore_index=255
    )
    if reduction == "macro":
        stats = tuple(each.sum(0, keepdim=True) for each in stats)
    expected = smp_metrics.iou_score(*stats, reduction=reduction, zero_division=1.0).item()
    found = values(counted(truth, prediction, num_classes))["smp", f"iou_score(reduction='{reduction}')"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_one_set_of_predictions_has_as_many_mious_as_there_are_conventions() -> None:
    # Image 1: two classes of 4 pixels, one of class 0 is taken for class 1. Image 2: 8 pixels of class 0, all right.
    # Class 2 is nowhere. IoU of all: 11/12 and 4/5. Of image 1: 3/4 and 4/5; of image 2: 1.
    truth = np.array([[[0] * 4 + [1] * 4], [[0] * 8]], np.uint8)
    prediction = np.array([[[0] * 3 + [1] * 5], [[0] * 8]], np.uint8)
    found = values(counted(truth, prediction, 3))
    ours = (11 / 12 + 4 / 5) / 2
    assert found["segpipe", "miou"] == pytest.approx(ours)
    assert found["segpipe", "miou_absent_as_zero"] == pytest.approx(ours * 2 / 3)
    assert found["torchmetrics", "MulticlassJaccardIndex(average='macro')"] == pytest.approx(ours)
    assert found["torchmetrics", "segmentation.MeanIoU"] == pytest.approx((3 / 4 + 4 / 5 + 1) / 3)
    assert found["smp", "iou_score(reduction='macro')"] == pytest.approx((ours * 2 + 1) / 3)
    assert found["smp", "iou_score(reduction='macro-imagewise')"] == pytest.approx((3 / 4 + 4 / 5 + 1 + 3) / 6)
    assert found["smp", "iou_score(reduction='micro-imagewise')"] == pytest.approx((7 / 9 + 1) / 2)
    assert found["torchvision", "references/segmentation ConfusionMatrix, mean IoU"] is None
    assert found["Hugging Face", "evaluate mean_iou"] == pytest.approx(ours)
    assert not any(library == "cityscapesscripts" for library, _ in found)


def test_hugging_faces_documented_example_has_its_documented_score() -> None:
    """Three images, ten classes; where the truth is 255, nothing counts. Its page gives 0.4775."""
    pairs = (
        ([[0, 3], [5, 4], [6, 255]], [[1, 2], [3, 4], [5, 255]]),
        ([[1, 7], [9, 2], [3, 6]], [[2, 7], [9, 2], [3, 6]]),
        ([[1, 2, 2], [8, 2, 1], [3, 255, 1]], [[2, 2, 3], [8, 2, 4], [3, 255, 2]]),
    )
    confusions = []
    for truth, prediction in pairs:
        known, said = np.array(truth, np.uint8), np.array(prediction, np.uint8)
        confusions.append(confusion_matrix(known, np.where(known == 255, 0, said).astype(np.uint8), 10))
    total: np.ndarray = np.sum(confusions, axis=0)
    counts = Counts(total, *np.stack([class_counts(each) for each in confusions], 1))
    assert values(counts)["Hugging Face", "evaluate mean_iou"] == pytest.approx(0.4775, abs=1e-12)


def test_the_official_cityscapes_score_knows_no_void() -> None:
    # Rows are the truth: road, car, void. Void's own row is dropped: road has 6 hits, 2 missed (one as void), 1 wrong;
    # car 4 hits, 2 missed, 1 wrong. The last column is no class of the benchmark.
    confusion = np.array([[6, 1, 1], [1, 4, 1], [5, 3, 9]])
    counts = Counts(confusion, *(each[None] for each in class_counts(confusion)))
    found = values(counts, "cityscapes_20", ["road", "car", "void"])
    assert found["cityscapesscripts", "evalPixelLevelSemanticLabeling, classes"] == pytest.approx((6 / 9 + 4 / 7) / 2)


def test_where_void_is_ignored_the_official_score_is_ours() -> None:
    truth, prediction = predicted(5, 5)
    found = values(counted(truth, prediction, 5), "cityscapes_19", list("abcde"))
    assert found["cityscapesscripts", "evalPixelLevelSemanticLabeling, classes"] == found["segpipe", "miou"]


def test_nothing_counted_is_no_number_anywhere_but_where_absent_means_solved() -> None:
    truth, prediction = np.full((2, 4, 4), 255, np.uint8), np.zeros((2, 4, 4), np.uint8)
    found = values(counted(truth, prediction, 2), "cityscapes_19", ["road", "car"])
    assert {library for (library, _), value in found.items() if value is not None} == {"smp"}
    assert {value for value in found.values() if value is not None} == {1.0}
