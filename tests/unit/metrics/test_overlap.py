"""The scores of one confusion matrix, by hand and against scikit-learn."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from segmentation_models_pytorch import metrics as smp_metrics
from sklearn.metrics import (  # type: ignore[import-untyped,unused-ignore]
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from segpipe.confusion import confusion_matrix
from segpipe.metrics import overlap

# Rows are the truth: 10 pixels of a, 8 of b, 2 of c.
BY_HAND = np.array([[6, 3, 1], [2, 6, 0], [0, 1, 1]])
OVERALL = {"miou", "miou_absent_as_zero", "pixel_accuracy", "mpa", "mean_dice", "fwiou"}


def test_the_scores_by_class_are_those_worked_out_by_hand() -> None:
    # Predicted: 8 a, 10 b, 2 c. Unions: 10+8-6=12, 8+10-6=12, 2+2-1=3.
    scores = overlap.per_class(BY_HAND)
    assert scores["iou"] == pytest.approx([6 / 12, 6 / 12, 1 / 3])
    assert scores["dice"] == pytest.approx([12 / 18, 12 / 18, 2 / 4])
    assert scores["precision"] == pytest.approx([6 / 8, 6 / 10, 1 / 2])
    assert scores["recall"] == pytest.approx([6 / 10, 6 / 8, 1 / 2])
    assert scores["support"].tolist() == [10, 8, 2]


def test_the_overall_scores_are_those_worked_out_by_hand() -> None:
    scores = overlap.overall(BY_HAND)
    assert scores == pytest.approx(
        {
            "miou": 4 / 9,
            "miou_absent_as_zero": 4 / 9,
            "pixel_accuracy": 13 / 20,
            "mpa": (0.6 + 0.75 + 0.5) / 3,
            "mean_dice": 11 / 18,
            "fwiou": (10 * 0.5 + 8 * 0.5 + 2 / 3) / 20,
        }
    )


@pytest.mark.parametrize("num_classes", [2, 5, 12, 20])
def test_scikit_learn_finds_the_same(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    truth = rng.integers(0, num_classes, (40, 50)).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, num_classes, truth.shape)).astype(
        np.uint8
    )
    ignored = rng.random(truth.shape) < 0.2
    confusion = confusion_matrix(np.where(ignored, 255, truth).astype(np.uint8), prediction, num_classes)
    pair = truth[~ignored], prediction[~ignored]
    scores, overall = overlap.per_class(confusion), overlap.overall(confusion)
    assert scores["iou"] == pytest.approx(jaccard_score(*pair, average=None))
    assert scores["dice"] == pytest.approx(f1_score(*pair, average=None))
    assert scores["precision"] == pytest.approx(precision_score(*pair, average=None))
    assert scores["recall"] == pytest.approx(recall_score(*pair, average=None))
    assert overall["miou"] == pytest.approx(jaccard_score(*pair, average="macro"))
    assert overall["fwiou"] == pytest.approx(jaccard_score(*pair, average="weighted"))
    assert overall["mean_dice"] == pytest.approx(f1_score(*pair, average="macro"))
    assert overall["pixel_accuracy"] == pytest.approx(accuracy_score(*pair))
    assert overall["mpa"] == pytest.approx(balanced_accuracy_score(*pair))


def predicted(num_classes: int, right: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Four small masks with ignored pixels, and predictions of them."""
    rng = np.random.default_rng(num_classes)
    truth = rng.integers(0, num_classes, (4, 20, 30)).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < right, truth, rng.permutation(truth)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    return truth, prediction


@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_smp_finds_the_same_by_class_from_its_own_counts(num_classes: int) -> None:
    truth, prediction = predicted(num_classes)
    counts = smp_metrics.get_stats(
        torch.from_numpy(prediction), torch.from_numpy(truth), "multiclass", num_classes=num_classes, ignore_index=255
    )
    of_split = [count.sum(0, keepdim=True) for count in counts]
    scores = overlap.per_class(confusion_matrix(truth, prediction, num_classes))
    for ours, theirs in (("iou", "iou_score"), ("dice", "f1_score"), ("precision", "precision"), ("recall", "recall")):
        expected = getattr(smp_metrics, theirs)(*of_split, reduction="none")[0]
        assert scores[ours] == pytest.approx(expected.numpy())


def test_libraries_score_an_absent_class_each_in_its_own_way() -> None:
    """scikit-learn averages what is there, smp calls an absent class solved, and a zero for it calls it missed."""
    truth, prediction = predicted(3)
    counted = truth != 255
    scores = overlap.overall(confusion_matrix(truth, prediction, 5))
    of_sklearn = jaccard_score(truth[counted], prediction[counted], average="macro")
    counts = smp_metrics.get_stats(
        torch.from_numpy(prediction), torch.from_numpy(truth), "multiclass", num_classes=5, ignore_index=255
    )
    of_smp = smp_metrics.iou_score(*(count.sum(0, keepdim=True) for count in counts), reduction="macro").item()
    assert scores["miou"] == pytest.approx(of_sklearn)
    assert scores["miou_absent_as_zero"] == pytest.approx(of_sklearn * 3 / 5)
    assert of_smp == pytest.approx((of_sklearn * 3 + 2) / 5)


def test_a_class_absent_from_both_has_no_iou_and_is_left_out_of_the_mean() -> None:
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert math.isnan(overlap.per_class(confusion)["iou"][2])
    scores = overlap.overall(confusion)
    assert scores["miou"] == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert scores["miou_absent_as_zero"] == pytest.approx((3 / 4 + 4 / 5) / 3)
    assert scores["mean_dice"] == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert scores["mpa"] == pytest.approx((3 / 4 + 1) / 2)


def test_a_class_that_is_only_predicted_counts_as_missed() -> None:
    # Nothing of it is true: IoU, Dice and precision are 0, and there is no recall to average.
    confusion = np.array([[3, 1], [0, 0]])
    scores = overlap.per_class(confusion)
    assert (scores["iou"][1], scores["dice"][1], scores["precision"][1]) == (0, 0, 0)
    assert math.isnan(scores["recall"][1])
    assert overlap.overall(confusion)["miou"] == pytest.approx(3 / 8)
    assert overlap.overall(confusion)["mpa"] == pytest.approx(3 / 4)


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    scores = overlap.per_class(np.array([[3, 0], [1, 0]]))
    assert math.isnan(scores["precision"][1])
    assert (scores["iou"][1], scores["recall"][1]) == (0, 0)


def test_no_counted_pixel_means_no_score_at_all() -> None:
    scores = overlap.overall(np.zeros((3, 3), np.int64))
    assert scores.keys() == OVERALL
    assert all(math.isnan(value) for value in scores.values())


def test_a_perfect_prediction_scores_one_exactly() -> None:
    assert set(overlap.overall(np.diag([7, 1, 10**12])).values()) == {1.0}


def test_the_means_are_over_the_split_and_not_over_its_images() -> None:
    first, second = np.array([[9, 1], [0, 0]]), np.array([[0, 0], [5, 5]])
    # Together: IoU 9/15 and 5/11. A mean of the images' own would be (9/10 + 0)/2 and (0 + 5/10)/2.
    assert overlap.overall(first + second)["miou"] == pytest.approx((9 / 15 + 5 / 11) / 2)


def test_counts_beyond_what_a_float_holds_exactly_keep_their_support() -> None:
    support = 2**53 + 1
    table = overlap.table(np.array([[support, 0], [0, 1]], np.int64), ["a", "b"])
    assert table["a"]["support"] == support


def test_the_table_is_plain_json_with_null_for_what_does_not_exist() -> None:
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    table = json.loads(json.dumps(overlap.table(confusion, ["a", "b", "c"]), allow_nan=False))
    assert list(table) == ["a", "b", "c"]
    assert table["a"] == pytest.approx({"iou": 0.75, "dice": 6 / 7, "precision": 1.0, "recall": 0.75, "support": 4})
    assert table["c"] == {"iou": None, "dice": None, "precision": None, "recall": None, "support": 0}
