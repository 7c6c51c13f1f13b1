"""The operations of a model against a count by hand; counting them neither computes nor changes anything. Latencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from segpipe.devices import machine
from segpipe.evaluation.cost import flops, measured_cost, timed_pass
from segpipe.evaluation.scoring import Scoring
from segpipe.inference.test_time import logits_of
from segpipe.params.schema import Evaluation, Hardware
from tests.unit.inference.stand_ins import CLASSES, Random
from tests.unit.training.tiny_project import NAME


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


def cost(known: list[float]) -> dict[str, Any]:
    work = Scoring(NAME)
    return measured_cost(work.model, work.samples, work.how, work.here, work.checkpoint, known)


@pytest.mark.usefixtures("evaluated")
def test_latencies_that_the_fit_measured_are_taken_where_a_pass_is_slow() -> None:
    found = cost([400.0, 600.0])
    assert (found["latency_batch_8_ms"], found["latency_batch_8_p95_ms"]) == (500.0, 590.0)


@pytest.mark.usefixtures("evaluated")
def test_latencies_are_measured_until_there_are_enough() -> None:
    slowest = cost([700.0])  # one is not enough for a median
    assert 350 < slowest["latency_batch_8_ms"] < 700
    fast = cost([])
    assert 0 < fast["latency_batch_8_ms"] <= fast["latency_batch_8_p95_ms"] < 700


def test_a_timed_pass_is_that_of_the_scoring_with_its_flips() -> None:
    model, here = Random().eval(), machine(Hardware(device="cpu", precision="fp32"))
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 32, 48), np.uint8))
    for how in (Evaluation(), Evaluation(flips=True)):
        logits, milliseconds = timed_pass(model, images, how, here)
        assert torch.equal(logits, logits_of(model, images, how))
        assert milliseconds > 0
