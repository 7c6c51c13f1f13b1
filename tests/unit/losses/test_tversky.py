"""Tversky loss against a count by hand, a second implementation, and smp where their conventions agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.losses import TverskyLoss
from torch import Tensor

from segpipe.losses import tversky
from tests.unit.losses.examples import counted_pixels, example


def loss(logits: Tensor, masks: Tensor, class_weights: Sequence[float] = (), **options: Any) -> float:
    weights = torch.tensor(class_weights) if class_weights else torch.ones(logits.shape[1])
    (value,) = tversky.build(tversky.Options(**options), weights)(logits, masks).values()
    return float(value)


def slowly(logits: Tensor, masks: Tensor, alpha: float, beta: float) -> dict[int, float]:
    """By class that is there, over the counted pixels, in numpy, from the definition."""
    shares, truth = counted_pixels(logits, masks)
    losses = {}
    for class_id in np.unique(truth).tolist():
        is_class = truth == class_id
        hits = shares[is_class, class_id].sum()
        wrong, missed = shares[~is_class, class_id].sum(), (1 - shares[is_class, class_id]).sum()
        losses[class_id] = float(1 - hits / (hits + alpha * wrong + beta * missed))
    return losses


def mean(losses: dict[int, float]) -> float:
    return sum(losses.values()) / len(losses)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1.0, 1.0)])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_it_is_the_definition_over_what_is_not_ignored(num_classes: int, alpha: float, beta: float) -> None:
    logits, masks = example(num_classes)
    expected = mean(slowly(logits, masks, alpha, beta))
    assert loss(logits, masks, alpha=alpha, beta=beta) == pytest.approx(expected, rel=1e-5)


def test_class_weights_weigh_the_classes_whatever_their_pixels() -> None:
    logits, masks = example(3)
    of_classes = slowly(logits, masks, 0.5, 0.5)
    expected = (of_classes[0] + 5 * of_classes[1] + 0.25 * of_classes[2]) / 6.25
    assert loss(logits, masks, (1.0, 5.0, 0.25)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7)])
@pytest.mark.parametrize("ignored", [0, 0.3])
def test_smp_agrees_where_every_class_is_there(ignored: float, alpha: float, beta: float) -> None:
    logits, masks = example(5, ignored)
    expected = TverskyLoss("multiclass", alpha=alpha, beta=beta, ignore_index=255)(logits, masks.long())
    assert loss(logits, masks, alpha=alpha, beta=beta) == pytest.approx(expected.item(), rel=1e-5)


def test_smp_counts_a_class_that_is_not_there_as_solved_and_we_do_not_count_it() -> None:
    logits, masks = example(5)
    masks[masks < 255] %= 3
    theirs = TverskyLoss("multiclass", ignore_index=255)(logits, masks.long()).item()
    assert loss(logits, masks) == pytest.approx(mean(slowly(logits, masks, 0.5, 0.5)), rel=1e-5)
    assert theirs == pytest.approx(loss(logits, masks) * 3 / 5, rel=1e-5)


def test_alpha_weighs_false_positives_and_beta_what_is_missed() -> None:
    # Hard logits, class b: 1 hit, 2 wrong, 0 missed; class a: 1 hit, 0 wrong, 2 missed.
    logits = 100 * torch.tensor([[0.0, 1.0, 1.0, 1.0]]).view(1, 1, 1, 4)
    masks = torch.tensor([[[0, 0, 0, 1]]], dtype=torch.uint8)
    found = loss(torch.cat([-logits, logits - 50], 1), masks, alpha=0.25, beta=2.0)
    of_a, of_b = 1 - 1 / (1 + 2 * 2.0), 1 - 1 / (1 + 2 * 0.25)
    assert found == pytest.approx((of_a + of_b) / 2, rel=1e-5)


def test_bf16_logits_are_counted_in_float32() -> None:
    logits = torch.randn(1, 2, 128, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    masks = (torch.arange(128) % 2).expand(1, 128, 128).to(torch.uint8)
    assert loss(logits, masks) == pytest.approx(mean(slowly(logits.float(), masks, 0.5, 0.5)), rel=1e-5)
    theirs = TverskyLoss("multiclass")(logits, masks.long())
    assert theirs.dtype == torch.bfloat16  # three digits
