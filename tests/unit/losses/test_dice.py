"""Dice loss: the F1 score of hard predictions, smp's where every class is there, Tversky's at one half."""

from __future__ import annotations

import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss
from sklearn.metrics import f1_score  # type: ignore[import-untyped,unused-ignore]
from torch import Tensor

from segpipe.losses import dice, tversky
from tests.unit.losses.examples import example


def loss(logits: Tensor, masks: Tensor) -> float:
    (value,) = dice.build(dice.Options(), torch.ones(logits.shape[1]))(logits, masks).values()
    return float(value)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_hard_predictions_lose_what_their_f1_scores_lack(num_classes: int) -> None:
    logits, masks = example(num_classes)
    counted = masks != 255
    expected = 1 - f1_score(masks[counted], logits.argmax(1)[counted], average="macro")
    assert loss(1e6 * logits, masks) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize("ignored", [0, 0.3])
def test_smp_agrees_where_every_class_is_there(num_classes: int, ignored: float) -> None:
    logits, masks = example(num_classes, ignored)
    expected = DiceLoss("multiclass", ignore_index=255)(logits, masks.long())
    assert loss(logits, masks) == pytest.approx(expected.item(), rel=1e-5)


def test_it_is_the_tversky_loss_at_one_half_and_one_half() -> None:
    logits, masks = example(5)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])
    expected = tversky.build(tversky.Options(alpha=0.5, beta=0.5), weights)(logits, masks)["tversky"]
    assert torch.equal(dice.build(dice.Options(), weights)(logits, masks)["dice"], expected)


def test_a_perfect_prediction_costs_nothing() -> None:
    _, masks = example(5, ignored=0)
    logits = 100 * torch.nn.functional.one_hot(masks.long(), 5).permute(0, 3, 1, 2).float()
    assert loss(logits, masks) == pytest.approx(0, abs=1e-6)
