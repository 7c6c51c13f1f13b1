"""The average of two models is worked out by hand, and trained through."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.layers.weighted_average import WeightedAverage


class Fixed(SegmentationModel):
    """Says the same logits for every pixel; its one frozen layer must stay in evaluation mode."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__((0.5,) * 3, (0.5,) * 3)
        self.bias = nn.Parameter(torch.tensor(logits))
        self.backbone = nn.BatchNorm2d(3)
        self.freeze("backbone")

    def forward(self, images: Tensor) -> Tensor:
        return self.bias.view(1, -1, 1, 1).expand(len(images), -1, *images.shape[-2:])


IMAGES = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)


def average() -> WeightedAverage:
    # Probabilities (1/4, 3/4) and (1/2, 1/2).
    return WeightedAverage(Fixed([0.0, math.log(3)]), Fixed([1.0, 1.0]))


@pytest.mark.parametrize(("share", "expected"), [(0.5, 0.375), (0.2, 0.45), (1.0, 0.25), (0.0, 0.5)])
def test_the_probabilities_are_the_weighted_mean_of_the_members(share: float, expected: float) -> None:
    model = average()
    model.give_first(share)
    assert model.share_of_first == pytest.approx(share, abs=1e-6)
    probabilities = model(IMAGES).softmax(1)
    assert probabilities.shape == (1, 2, 2, 2)
    torch.testing.assert_close(probabilities[:, 0], torch.full((1, 2, 2), expected), rtol=1e-5, atol=1e-6)


def test_it_begins_half_and_half() -> None:
    assert average().share_of_first == 0.5


def test_the_gradient_reaches_both_members_and_their_weight() -> None:
    model = average()
    torch.autograd.backward(model(IMAGES)[:, 0].sum())
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained.keys() == {"first.bias", "second.bias", "balance"}
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in trained.values())
    # More of the first member means less of class 0, which it likes less: the weight is pulled down.
    assert model.balance.grad is not None
    assert model.balance.grad < 0


def test_what_a_member_holds_frozen_stays_in_evaluation_mode() -> None:
    model = average().train()
    assert model.get_submodule("first").training
    assert not model.get_submodule("first.backbone").training


def test_certain_members_do_not_lead_to_infinite_logits() -> None:
    model = WeightedAverage(Fixed([0.0, 200.0]), Fixed([0.0, 200.0]))
    assert model(IMAGES).isfinite().all()


def test_its_cells_are_pixels() -> None:
    assert average().cell_grid((6, 10)) == (6, 10)
