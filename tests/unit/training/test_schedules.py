"""The schedules are torch's, as plain functions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, PolynomialLR, ReduceLROnPlateau

from segpipe.params.schema import ConstantSchedule, CosineSchedule, PlateauSchedule, PolySchedule
from segpipe.training.schedules import learning_rate, warmed_up

CRAFTED = {
    "falling": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5],
    "flat": [1.0] * 14,
    "rising": [0.1 * k for k in range(1, 14)],
    "lower by less than the threshold": [1.0 * (1 - 5e-5) ** k for k in range(14)],
    "lower by exactly the threshold": [1.0, 1.0 * (1 - 1e-4), 1.0 * (1 - 1e-4), 1.0, 1.0, 1.0],
    "better just in time": [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.2, 0.2, 0.2, 0.2, 0.2],
    "zero": [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "below zero": [-1.0, -1.1, -1.1, -0.9, -1.1, -1.2, -1.2],
    "no number": [1.0, float("nan"), float("nan"), float("nan"), 0.5, float("inf"), 0.4],
}


def reference_plateau(losses: list[float], factor: float, patience: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler = ReduceLROnPlateau(optimizer, factor=factor, patience=patience, eps=0)
    rates = [0.01]
    for loss in losses:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def our_plateau(losses: list[float], factor: float, patience: int) -> list[float]:
    schedule = PlateauSchedule(kind="plateau", factor=factor, patience=patience)
    count = len(losses)
    return [learning_rate(schedule, 0.01, seen + 1, count + 1, losses[:seen]) for seen in range(count + 1)]


@pytest.mark.parametrize("losses", CRAFTED.values(), ids=CRAFTED.keys())
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_follows_torch_over_crafted_losses(losses: list[float], patience: int) -> None:
    assert our_plateau(losses, 0.1, patience) == pytest.approx(reference_plateau(losses, 0.1, patience), rel=1e-12)


def test_plateau_follows_torch_over_random_losses() -> None:
    rng = np.random.default_rng(0)
    for factor, patience, _ in itertools.product((0.1, 0.5), (1, 3, 5), range(20)):
        losses = (rng.random(40) * np.linspace(1, 0.5, 40)).tolist()
        assert our_plateau(losses, factor, patience) == pytest.approx(
            reference_plateau(losses, factor, patience), rel=1e-12
        )


def test_the_first_reduction_comes_after_patience_plus_one_bad_epochs() -> None:
    # Epoch 1 sets the best, 2, 3 and 4 are bad: 3 > patience 2, so that epoch 5 is the first at a tenth.
    assert our_plateau([1.0] * 5, 0.1, 2) == pytest.approx([0.01, 0.01, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(("epochs", "floor"), [(1, 0.0), (2, 0.0), (10, 0.0), (7, 0.1), (60, 0.01)])
def test_cosine_is_the_schedule_of_torch(epochs: int, floor: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.003)
    scheduler = CosineAnnealingLR(optimizer, T_max=epochs, eta_min=floor * 0.003)
    schedule = CosineSchedule(kind="cosine", floor=floor)
    for epoch in range(1, epochs + 1):
        assert learning_rate(schedule, 0.003, epoch, epochs, []) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-9
        )
        optimizer.step()
        scheduler.step()


def test_constant_ignores_epochs_and_losses() -> None:
    assert {learning_rate(ConstantSchedule(), 0.02, epoch, 9, [1.0] * epoch) for epoch in range(1, 10)} == {0.02}


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_the_poly_schedule_is_torchs(power: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler, expected = PolynomialLR(optimizer, total_iters=7, power=power), []
    for _ in range(7):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    schedule = PolySchedule(kind="poly", power=power)
    assert [learning_rate(schedule, 0.01, epoch, 7, []) for epoch in range(1, 8)] == pytest.approx(expected)


def test_a_warm_up_is_torchs_linear_one() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, expected = LinearLR(optimizer, start_factor=1 / 6, total_iters=5), []
    for _ in range(9):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert [warmed_up(step, 4, 1.5) for step in range(1, 10)] == pytest.approx(expected)  # 4 steps * 1.5 epochs = 6


@pytest.mark.parametrize("warmup", [0.0, 0.01])
def test_without_a_whole_step_of_warm_up_the_first_step_has_the_full_rate(warmup: float) -> None:
    assert warmed_up(1, 10, warmup) == 1.0
