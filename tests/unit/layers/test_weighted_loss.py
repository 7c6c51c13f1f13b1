"""What the losses share: weighted means worked out by hand, and costs that are 0 where nothing counts."""

from __future__ import annotations

import pytest
import torch

from segpipe.layers.weighted_loss import WeightedLoss, at_least_fp32, cross_entropies

MASKS = torch.tensor([[[0, 1, 1, 255, 2]]], dtype=torch.uint8)


def test_a_pixel_weighs_what_its_class_does_and_an_ignored_one_nothing() -> None:
    loss = WeightedLoss(torch.tensor([1.0, 2.0, 5.0]))
    costs = torch.tensor([[[10.0, 20.0, 30.0, 1e9, 40.0]]])
    assert loss.mean_over_pixels(costs, MASKS).item() == pytest.approx((10 + 2 * 20 + 2 * 30 + 5 * 40) / 10)


def test_a_class_weighs_what_it_should_however_many_its_pixels() -> None:
    loss = WeightedLoss(torch.tensor([1.0, 2.0, 5.0]))
    is_counted = torch.tensor([True, True, False])
    found = loss.mean_over_classes(torch.tensor([0.3, 0.6, 0.9]), is_counted)
    assert found.item() == pytest.approx((0.3 + 2 * 0.6) / 3)


def test_the_mean_of_nothing_is_nothing_and_so_is_its_gradient() -> None:
    loss = WeightedLoss(torch.ones(3))
    pixels, classes = torch.ones(1, 1, 5, requires_grad=True), torch.ones(3, requires_grad=True)
    values = (
        loss.mean_over_pixels(pixels, torch.full_like(MASKS, 255)),
        loss.mean_over_classes(classes, torch.zeros(3, dtype=torch.bool)),
    )
    torch.autograd.backward(values)
    assert [value.item() for value in values] == [0, 0]
    for costs in (pixels, classes):
        assert costs.grad is not None
        assert not costs.grad.any()


def test_253_classes_and_the_id_to_ignore_are_told_apart() -> None:
    weights = torch.arange(1.0, 254.0)
    masks = torch.tensor([[[0, 252, 255]]], dtype=torch.uint8)
    found = WeightedLoss(weights).mean_over_pixels(torch.tensor([[[1.0, 2.0, 1e9]]]), masks)
    assert found.item() == pytest.approx((1 * 1 + 253 * 2) / 254)


def test_an_ignored_pixel_has_no_cross_entropy_and_gets_no_gradient() -> None:
    logits = torch.randn(1, 3, 1, 5, requires_grad=True)
    costs = cross_entropies(logits, MASKS)
    torch.autograd.backward(costs.sum())
    assert logits.grad is not None
    assert costs.eq(0).tolist() == [[[False, False, False, True, False]]]
    assert logits.grad.any(1).tolist() == [[[True, True, True, False, True]]]


def test_half_precision_becomes_float32_and_the_rest_stays() -> None:
    wide = {dtype: at_least_fp32(torch.zeros(1, dtype=dtype)).dtype for dtype in (torch.bfloat16, torch.float16)}
    assert set(wide.values()) == {torch.float32}
    assert at_least_fp32(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
