"""Focal loss: cross entropy at γ = 0, torchvision's and smp's for two classes, and where smp's is another for more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from segmentation_models_pytorch.losses import FocalLoss
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss  # type: ignore[import-untyped,unused-ignore]

from segpipe.losses import cross_entropy, focal
from tests.unit.losses.examples import counted_pixels, difference, example


def loss(logits: Tensor, masks: Tensor, gamma: float = 2.0, class_weights: Sequence[float] = ()) -> Tensor:
    weights = torch.tensor(class_weights) if class_weights else torch.ones(logits.shape[1])
    (value,) = focal.build(focal.Options(gamma=gamma), weights)(logits, masks).values()
    assert isinstance(value, Tensor)
    return value


def test_at_gamma_0_it_is_the_cross_entropy() -> None:
    logits, masks = example(5)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])
    expected = cross_entropy.build(cross_entropy.Options(), weights)(logits, masks)["cross_entropy"]
    assert torch.equal(loss(logits, masks, 0, weights.tolist()), expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_it_is_the_definition_over_what_is_not_ignored(gamma: float) -> None:
    logits, masks = example(5)
    shares, truth = counted_pixels(logits, masks)
    of_truth = shares[range(len(truth)), truth]
    expected = (-((1 - of_truth) ** gamma) * torch.from_numpy(of_truth).log().numpy()).mean()
    assert loss(logits, masks, gamma).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_two_classes_are_torchvisions_and_smps_focal_loss_of_the_difference(gamma: float) -> None:
    logits, masks = example(2)
    one_logit, counted = difference(logits)[:, 0], masks != 255
    of_torchvision = sigmoid_focal_loss(one_logit[counted], masks[counted].float(), alpha=-1, gamma=gamma).mean()
    of_smp = FocalLoss("binary", gamma=gamma, ignore_index=255)(one_logit, masks.long())
    assert loss(logits, masks, gamma).item() == pytest.approx(of_torchvision.item(), rel=1e-5)
    assert loss(logits, masks, gamma).item() == pytest.approx(of_smp.item(), rel=1e-5)


def test_smps_for_more_classes_is_of_as_many_sigmoids_and_no_cross_entropy_at_gamma_0() -> None:
    logits, masks = example(5, ignored=0)
    theirs = FocalLoss("multiclass", gamma=0.0)(logits, masks.long())
    truth = functional.one_hot(masks.long(), 5).movedim(-1, 1).float()
    assert theirs.item() == pytest.approx(functional.binary_cross_entropy_with_logits(logits, truth).item(), rel=1e-5)
    assert abs(theirs - functional.cross_entropy(logits, masks.long())) > 0.1


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_a_pixel_beyond_doubt_has_a_gradient_that_is_a_number(gamma: float) -> None:
    """(1 − p)^γ has none at p = 1 where γ < 1."""
    logits = torch.tensor([200.0, -200.0]).view(1, 2, 1, 1).requires_grad_()
    value = loss(logits, torch.zeros(1, 1, 1, dtype=torch.uint8), gamma)
    torch.autograd.backward(value)
    assert value.item() == 0
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [0, 0]
