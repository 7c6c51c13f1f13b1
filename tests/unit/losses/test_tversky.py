"""Tversky loss against a count by hand, a second implementation, and smp where their conventions agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss, TverskyLoss
from torch import Tensor

from segpipe.losses import tversky

CLASSES = list("abcde")


def loss(logits: Tensor, masks: Tensor, num_classes: int, **options: Any) -> float:
    (value,) = tversky.build(tversky.Options(**options), CLASSES[:num_classes])(logits, masks).values()
    return float(value)


def example(num_classes: int, ignored: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_classes)
    logits = 2 * torch.randn(2, num_classes, 6, 7, generator=generator)
    masks = torch.randint(0, num_classes, (2, 6, 7), generator=generator, dtype=torch.uint8)
    masks[torch.rand(2, 6, 7, generator=generator) < ignored] = 255
    return logits, masks


def slow_tversky(logits: Tensor, masks: Tensor, alpha: float, beta: float) -> float:
    """Class by class over the counted pixels, in numpy, from the definition."""
    scores = np.exp(logits.double().numpy())
    shares = np.moveaxis(scores / scores.sum(1, keepdims=True), 1, -1)[masks.numpy() != 255]
    truth = masks.numpy()[masks.numpy() != 255]
    losses = []
    for class_id in np.unique(truth):
        is_class = truth == class_id
        hits = shares[is_class, class_id].sum()
        wrong, missed = shares[~is_class, class_id].sum(), (1 - shares[is_class, class_id]).sum()
        losses.append(1 - hits / (hits + alpha * wrong + beta * missed))
    return float(np.mean(losses))


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1.0, 1.0)])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_it_is_the_definition_over_what_is_not_ignored(num_classes: int, alpha: float, beta: float) -> None:
    logits, masks = example(num_classes, ignored=0.3)
    expected = slow_tversky(logits, masks, alpha, beta)
    assert loss(logits, masks, num_classes, alpha=alpha, beta=beta) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7)])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_smp_agrees_where_nothing_is_ignored_and_every_class_is_there(
    num_classes: int, alpha: float, beta: float
) -> None:
    """Elsewhere smp differs: it divides by all classes, absent ones too, and its counts hold what it ignores."""
    logits, masks = example(num_classes, ignored=0)
    assert set(masks.flatten().tolist()) == set(range(num_classes))
    expected = TverskyLoss("multiclass", alpha=alpha, beta=beta)(logits, masks.long())
    assert loss(logits, masks, num_classes, alpha=alpha, beta=beta) == pytest.approx(expected.item(), rel=1e-5)


def test_halves_are_smps_dice() -> None:
    logits, masks = example(5, ignored=0)
    assert loss(logits, masks, 5) == pytest.approx(DiceLoss("multiclass")(logits, masks.long()).item(), rel=1e-5)


def test_alpha_weighs_false_positives_and_beta_what_is_missed() -> None:
    # Hard logits, class b: 1 hit, 2 wrong, 0 missed; class a: 1 hit, 0 wrong, 2 missed.
    logits = 100 * torch.tensor([[0.0, 1.0, 1.0, 1.0]]).view(1, 1, 1, 4)
    masks = torch.tensor([[[0, 0, 0, 1]]], dtype=torch.uint8)
    found = loss(torch.cat([-logits, logits - 50], 1), masks, 2, alpha=0.25, beta=2.0)
    of_a, of_b = 1 - 1 / (1 + 2 * 2.0), 1 - 1 / (1 + 2 * 0.25)
    assert found == pytest.approx((of_a + of_b) / 2, rel=1e-5)


def test_a_class_that_is_not_there_is_left_out_of_the_mean() -> None:
    logits, masks = example(5, ignored=0)
    masks = masks.clamp(max=2)
    assert loss(logits, masks, 5) == pytest.approx(slow_tversky(logits, masks, 0.5, 0.5), rel=1e-5)


def test_a_perfect_prediction_costs_nothing() -> None:
    _, masks = example(5, ignored=0)
    logits = 100 * torch.nn.functional.one_hot(masks.long(), 5).permute(0, 3, 1, 2).float()
    assert loss(logits, masks, 5) == pytest.approx(0, abs=1e-6)


def test_bf16_logits_are_counted_in_float32() -> None:
    logits = torch.randn(1, 2, 128, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    masks = (torch.arange(128) % 2).expand(1, 128, 128).to(torch.uint8)
    # bf16 counts would stand still at 256.
    assert loss(logits, masks, 2) == pytest.approx(slow_tversky(logits.float(), masks, 0.5, 0.5), rel=1e-4)
