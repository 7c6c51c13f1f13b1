"""Cross entropy is torch's, wherever torch's is a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from segmentation_models_pytorch.losses import SoftCrossEntropyLoss
from torch import Tensor
from torch.nn import functional

from segpipe.losses import cross_entropy
from tests.unit.losses.examples import difference, example


def loss(logits: Tensor, masks: Tensor, class_weights: Sequence[float] = ()) -> float:
    weights = torch.tensor(class_weights) if class_weights else torch.ones(logits.shape[1])
    (value,) = cross_entropy.build(cross_entropy.Options(), weights)(logits, masks).values()
    return float(value)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_it_is_torchs_cross_entropy_over_what_is_not_ignored(num_classes: int) -> None:
    logits, masks = example(num_classes)
    expected = functional.cross_entropy(logits, masks.long(), ignore_index=255)
    assert loss(logits, masks) == pytest.approx(expected.item(), rel=1e-5)


def test_class_weights_are_torchs_weights_by_class() -> None:
    logits, masks = example(3)
    expected = functional.cross_entropy(logits, masks.long(), torch.tensor([1.0, 5.0, 0.25]), ignore_index=255)
    assert loss(logits, masks, (1.0, 5.0, 0.25)) == pytest.approx(expected.item(), rel=1e-5)


def test_two_classes_are_the_binary_cross_entropy_of_the_difference() -> None:
    logits, masks = example(2, ignored=0)
    expected = functional.binary_cross_entropy_with_logits(difference(logits)[:, 0], masks.float())
    assert loss(logits, masks) == pytest.approx(expected.item(), rel=1e-5)


def test_two_pixels_worked_out_by_hand() -> None:
    # Softmax of (0, ln 3) is (1/4, 3/4): truths 0 and 1 cost ln 4 and ln 4/3; the third pixel is ignored.
    logits = torch.tensor([[0.0, math.log(3)]] * 3).T.view(1, 2, 1, 3)
    masks = torch.tensor([[[0, 1, 255]]], dtype=torch.uint8)
    assert loss(logits, masks) == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)


def test_smp_has_the_same_sum_and_divides_it_by_ignored_pixels_too() -> None:
    logits, masks = example(5)
    theirs = SoftCrossEntropyLoss(smooth_factor=0.0, ignore_index=255)(logits, masks.long())
    counted = (masks != 255).float().mean().item()
    assert counted < 0.8
    assert theirs.item() == pytest.approx(loss(logits, masks) * counted, rel=1e-5)
