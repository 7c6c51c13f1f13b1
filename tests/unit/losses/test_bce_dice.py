"""BCE and Dice together: for two classes the binary losses of the difference, as S1 has them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from segmentation_models_pytorch.losses import DiceLoss, SoftBCEWithLogitsLoss
from torch import Tensor, nn
from torch.nn import functional

from segpipe.losses import bce_dice
from tests.unit.losses.examples import counted_pixels, difference, example


def built(num_classes: int, **options: Any) -> nn.Module:
    return bce_dice.build(bce_dice.Options(**options), torch.ones(num_classes))


def slow_dice(logits: Tensor, masks: Tensor, class_id: int) -> float:
    shares, truth = counted_pixels(logits, masks)
    is_class = truth == class_id
    return float(1 - 2 * shares[is_class, class_id].sum() / (shares[:, class_id].sum() + is_class.sum()))


def test_two_classes_cost_the_binary_losses_of_the_difference() -> None:
    logits, masks = example(2)
    one_logit, counted = difference(logits), masks.unsqueeze(1) != 255
    bce = functional.binary_cross_entropy_with_logits(one_logit[counted], masks.unsqueeze(1)[counted].float())
    dice = DiceLoss("binary", ignore_index=255)(one_logit, masks.unsqueeze(1).float())
    terms = built(2, bce_weight=0.3)(logits, masks)
    assert list(terms) == ["bce", "dice"]
    assert terms["bce"].item() == pytest.approx(0.3 * bce.item(), rel=1e-5)
    assert terms["dice"].item() == pytest.approx(0.7 * dice.item(), rel=1e-5)


def test_one_pixel_of_each_class_worked_out_by_hand() -> None:
    # Probabilities of class 1: 1/2 for the background's pixel, 3/4 for the building's.
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]]).view(1, 2, 1, 2)
    masks = torch.tensor([[[0, 1]]], dtype=torch.uint8)
    terms = built(2)(logits, masks)
    assert terms["bce"].item() == pytest.approx(0.5 * (math.log(2) + math.log(4 / 3)) / 2)
    assert terms["dice"].item() == pytest.approx(0.5 * (1 - 2 * 0.75 / (0.5 + 0.75 + 1)))


def test_with_the_background_it_is_the_mean_of_both_classes() -> None:
    logits, masks = example(2)
    terms = built(2, with_background=True)(logits, masks)
    expected = (slow_dice(logits, masks, 0) + slow_dice(logits, masks, 1)) / 2
    assert terms["dice"].item() == pytest.approx(0.5 * expected, rel=1e-5)


def test_more_classes_cost_their_cross_entropy_and_the_dice_of_all_but_the_first() -> None:
    logits, masks = example(4)
    terms = built(4)(logits, masks)
    expected = functional.cross_entropy(logits, masks.long(), ignore_index=255)
    assert terms["bce"].item() == pytest.approx(0.5 * expected.item(), rel=1e-5)
    dice = sum(slow_dice(logits, masks, class_id) for class_id in (1, 2, 3)) / 3
    assert terms["dice"].item() == pytest.approx(0.5 * dice, rel=1e-5)


def test_smps_bce_shrinks_with_the_share_of_ignored_pixels() -> None:
    """It adds up the right ones and divides by all: the reason that ours is not smp's."""
    logits, masks = example(2)
    theirs = SoftBCEWithLogitsLoss(ignore_index=255)(difference(logits), masks.unsqueeze(1).float())
    counted = (masks != 255).float().mean().item()
    ours = built(2, bce_weight=0.5)(logits, masks)["bce"].item() / 0.5
    assert theirs.item() == pytest.approx(ours * counted, rel=1e-5)


@pytest.mark.parametrize("bce_weight", [0.0, 1.0])
def test_a_weight_that_leaves_one_of_them_out_is_refused(bce_weight: float) -> None:
    with pytest.raises(ValidationError):
        bce_dice.Options(bce_weight=bce_weight)
