"""A step in parts, clipped, averaged or in fp16 is the step that it should be."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segpipe import losses
from segpipe.devices import Machine
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Batch
from segpipe.params.schema import Component, Trained
from segpipe.training import optimizers
from segpipe.training.step import Step, cut
from segpipe.training.tally import Tally

CPU = Machine(torch.device("cpu"), "fp32")
CLASS_WEIGHTS = [1.0, 3.0, 0.5]
PLAIN: dict[str, Any] = {
    "prepared": "p",
    "augmented": "a",
    "model": {"name": "unet"},
    "loss": {"name": "cross_entropy"},
    "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.0},
    "epochs": 1,
    "batch": 6,
}


class Small(SegmentationModel):
    """Two layers without batch norm, which would see the parts that a batch is cut in."""

    def __init__(self) -> None:
        super().__init__((0.5,) * 3, (0.25,) * 3)
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(self.first(self.normalised(images)).relu())
        return logits


def batch(count: int = 6) -> Batch:
    """The first images are ignored but for a few rows, so that parts weigh unlike amounts."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
    masks = torch.randint(0, 3, (count, 8, 8), generator=generator, dtype=torch.uint8)
    masks[: count // 2, 2:] = 255
    return Batch(images, masks, [f"image {number}" for number in range(count)])


def refuse(number: int, names: list[str], values: dict[str, float]) -> None:
    raise ValueError(f"batch {number}, {names}, {values}")


def one_step(model: Small, here: Machine = CPU, **changes: Any) -> dict[str, float]:
    """What the pass's row says after one step."""
    return steps(model, 1, here, **changes)[1].row(with_terms=True)


def steps(model: Small, count: int, here: Machine = CPU, **changes: Any) -> tuple[Step, Tally]:
    settings = Trained.model_validate({**PLAIN, **changes})
    loss = losses.built(Component(name="cross_entropy"), CLASS_WEIGHTS)
    optimizer = optimizers.build(settings.optimizer, model.parameter_groups())
    step, tally = Step(model, loss, CLASS_WEIGHTS, optimizer, settings, here), Tally("train", ["a", "b", "c"], refuse)
    for _ in range(count):
        step.take(batch(), lambda given: model(given.images), tally)
    return step, tally


def weights(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


@pytest.mark.parametrize("parts", [2, 3, 4, 6, 9])
def test_a_batch_in_parts_makes_the_step_of_the_whole_batch(parts: int) -> None:
    whole, in_parts = Small(), Small()
    expected, found = one_step(whole), one_step(in_parts, accumulate=parts)
    torch.testing.assert_close(weights(in_parts), weights(whole), rtol=1e-5, atol=1e-6)
    assert found["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)
    assert {key: found[key] for key in ("train_miou", "train_mpa")} == {
        key: expected[key] for key in ("train_miou", "train_mpa")
    }


def test_equal_shares_would_make_another_step() -> None:
    """What the test above would not see, if its parts weighed alike."""
    whole, halves = Small(), Small()
    one_step(whole)
    loss = losses.built(Component(name="cross_entropy"), CLASS_WEIGHTS)
    for part in cut(batch(), 2):
        torch.autograd.backward(loss(halves(part.images), part.masks)["cross_entropy"] / 2)
    with torch.no_grad():
        for value in halves.parameters():
            assert value.grad is not None
            value.sub_(0.5 * value.grad)
    assert (weights(halves) - weights(whole)).abs().max() > 1e-3


def test_parts_are_as_equal_as_can_be_and_miss_nothing() -> None:
    parts = list(cut(batch(6), 4))
    assert [len(part.names) for part in parts] == [1, 2, 1, 2]
    assert [name for part in parts for name in part.names] == batch(6).names
    assert torch.equal(torch.cat([part.images for part in parts]), batch(6).images)
    assert torch.equal(torch.cat([part.masks for part in parts]), batch(6).masks)


def test_a_clipped_step_is_as_long_as_it_may_be_and_goes_the_same_way() -> None:
    free, clipped, before = Small(), Small(), weights(Small())
    one_step(free)
    one_step(clipped, clip=0.01)
    moved, held = weights(free) - before, weights(clipped) - before
    assert moved.norm() > 0.5 * 0.02
    assert held.norm().item() == pytest.approx(0.5 * 0.01, rel=1e-3)  # the rate times the norm that is left
    assert torch.nn.functional.cosine_similarity(moved, held, dim=0).item() == pytest.approx(1, abs=1e-4)


def test_the_average_follows_the_weights_by_its_decay() -> None:
    model, start = Small(), weights(Small())
    step, _ = steps(model, 1, ema=0.9)
    assert step.average is not None
    first = weights(model)
    expected = 0.9 * start + 0.1 * first
    with step.average.in_place():
        torch.testing.assert_close(weights(model), expected)
    assert torch.equal(weights(model), first)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_gradient_that_is_no_number_is_found_though_the_loss_is_one(parts: int) -> None:
    """The square root's slope at 0 is infinite, and no loss shows it."""

    class Steep(Small):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + (0 * self.first.weight.sum()).sqrt()

    with pytest.raises(ValueError, match=r"batch 1, \['image 0', .*'gradient norm': nan"):
        one_step(Steep(), accumulate=parts)


def test_a_bad_number_names_the_batch_that_it_arose_in() -> None:
    model = Small()
    step, tally = steps(model, 2)
    with torch.no_grad():
        model.last.weight.fill_(math.nan)
    with pytest.raises(ValueError, match=r"batch 3, .*'cross_entropy': nan"):
        step.take(batch(), lambda given: model(given.images), tally)


def test_fp16_skips_a_step_whose_gradient_is_too_large_and_tries_a_smaller_scale() -> None:
    class Steep(Small):
        """Some 300 scaled by 65536 / 200 pixels reach the logits, and a thousand times as much the last layer: inf."""

        def forward(self, images: Tensor) -> Tensor:
            return 1000 * super().forward(images)

    model = Steep()
    with torch.no_grad():
        model.last.weight.mul_(1e-3)
    before, optimizer = weights(model), {**PLAIN["optimizer"], "lr": 1e-7}
    step, tally = steps(model, 1, Machine(torch.device("cpu"), "fp16"), optimizer=optimizer)
    assert step.scaler.get_scale() == 65536 / 2
    assert torch.equal(weights(model), before)
    for _ in range(12):
        step.take(batch(), lambda given: model(given.images), tally)
    assert 1 <= step.scaler.get_scale() < 65536 / 2
    assert not torch.equal(weights(model), before)
    assert all(math.isfinite(value) for value in tally.row(with_terms=True).values())
