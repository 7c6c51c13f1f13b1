"""The operations of a model against a count by hand; counting them neither computes nor changes anything."""

from __future__ import annotations

import torch

from segpipe.evaluation.cost import flops
from tests.unit.inference.stand_ins import CLASSES, Random


def test_the_operations_of_two_convolutions_by_hand() -> None:
    # Each pixel and channel that comes out takes 9 times the channels that go in, a multiplication and an addition.
    size = (32, 48)
    expected = 2 * 9 * (3 * 8 + 8 * CLASSES) * 32 * 48
    assert flops(Random().eval(), size) == expected


def test_they_grow_with_the_image() -> None:
    model = Random().eval()
    assert flops(model, (64, 96)) == 4 * flops(model, (32, 48))


def test_the_model_is_left_as_it_was() -> None:
    model, image = Random().eval(), torch.randint(0, 256, (1, 3, 32, 48), dtype=torch.uint8)
    before = model(image)
    flops(model, (32, 48))
    assert torch.equal(model(image), before)
    assert all(each.device.type == "cpu" and each.requires_grad for each in model.parameters())
