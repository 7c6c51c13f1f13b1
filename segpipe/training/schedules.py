"""Learning rates as functions of the epoch and the validation losses so far: a resume has no schedule to restore."""

from __future__ import annotations

import math
from collections.abc import Sequence

from segpipe.params.schema import CosineSchedule, PlateauSchedule, PolySchedule, Schedule

THRESHOLD = 1e-4
"""A loss counts as lower when it is lower by this share (torch's default)."""


def learning_rate(schedule: Schedule, lr: float, epoch: int, epochs: int, val_losses: Sequence[float]) -> float:
    """The rate of epoch `epoch` (the first is 1), given the losses of the epochs before it."""
    over = (epoch - 1) / epochs
    if isinstance(schedule, PlateauSchedule):
        return lr * schedule.factor ** _reductions(val_losses, schedule.patience)
    if isinstance(schedule, CosineSchedule):
        return lr * (schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * over)) / 2)
    if isinstance(schedule, PolySchedule):
        return float(lr * (1 - over) ** schedule.power)
    return lr


def warmed_up(step: int, steps_an_epoch: int, warmup: float) -> float:
    """The share of the rate at this step of the whole training (the first is 1): from 1/n at the first of n to 1."""
    return min(1.0, step / max(1, round(warmup * steps_an_epoch)))


def _reductions(losses: Sequence[float], patience: int) -> int:
    """How often more than `patience` epochs in a row brought no lower loss."""
    best, bad, reductions = math.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - THRESHOLD):
            best, bad = loss, 0
        else:
            bad += 1
        if bad > patience:
            bad, reductions = 0, reductions + 1
    return reductions
