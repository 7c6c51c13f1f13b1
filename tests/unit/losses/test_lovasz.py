"""Lovász-softmax: what IoU lacks for hard predictions, smp's for soft ones, the paper's by another road."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.losses import LovaszLoss
from sklearn.metrics import jaccard_score  # type: ignore[import-untyped,unused-ignore]
from torch import Tensor

from segpipe.losses import lovasz
from tests.unit.losses.examples import counted_pixels, example


def loss(logits: Tensor, masks: Tensor, class_weights: Sequence[float] = ()) -> float:
    weights = torch.tensor(class_weights) if class_weights else torch.ones(logits.shape[1])
    (value,) = lovasz.build(lovasz.Options(), weights)(logits, masks).values()
    return float(value)


def slowly(logits: Tensor, masks: Tensor) -> dict[int, float]:
    """By class that is there: the mean, over all thresholds, of the Jaccard loss if all errors above it were whole."""
    shares, truth = counted_pixels(logits, masks)
    losses = {}
    for class_id in np.unique(truth).tolist():
        is_class = truth == class_id
        errors = np.where(is_class, 1 - shares[:, class_id], shares[:, class_id])
        below = 0.0
        losses[class_id] = 0.0
        for threshold in sorted(set(errors.tolist())):
            is_wrong = errors >= threshold
            jaccard = (is_class & ~is_wrong).sum() / (is_class | is_wrong).sum()
            losses[class_id] += (threshold - below) * (1 - jaccard)
            below = threshold
    return losses


@pytest.mark.parametrize("num_classes", [2, 5])
def test_it_is_the_jaccard_loss_averaged_over_all_thresholds(num_classes: int) -> None:
    logits, masks = example(num_classes)
    expected = np.mean(list(slowly(logits, masks).values()))
    assert loss(logits, masks) == pytest.approx(expected, rel=1e-5)


def test_class_weights_weigh_the_classes_whatever_their_pixels() -> None:
    logits, masks = example(3)
    of_classes = slowly(logits, masks)
    expected = (of_classes[0] + 5 * of_classes[1] + 0.25 * of_classes[2]) / 6.25
    assert loss(logits, masks, (1.0, 5.0, 0.25)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_hard_predictions_lose_what_their_iou_lacks(num_classes: int) -> None:
    logits, masks = example(num_classes)
    counted = masks != 255
    expected = 1 - jaccard_score(masks[counted], logits.argmax(1)[counted], average="macro")
    assert loss(1e6 * logits, masks) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("present", [5, 3])
def test_smp_agrees_in_value_and_gradient_also_where_a_class_is_not_there(present: int) -> None:
    logits, masks = example(5)
    masks[masks < 255] %= present
    found, expected = (logits.clone().requires_grad_() for _ in range(2))
    ours = lovasz.build(lovasz.Options(), torch.ones(5))(found, masks)["lovasz"]
    theirs = LovaszLoss("multiclass", ignore_index=255)(expected, masks.long())
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    torch.autograd.backward([ours, theirs])
    torch.testing.assert_close(found.grad, expected.grad)


def test_smp_has_no_number_for_a_batch_of_ignored_pixels() -> None:
    logits, masks = example(5)
    ignored = torch.full_like(masks, 255)
    assert LovaszLoss("multiclass", ignore_index=255)(logits, ignored.long()).shape == (0, 5)
    assert loss(logits, ignored) == 0
