"""Optimizers by name, and their state as named tensors and plain values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from segpipe.params.schema import Optimizer as Settings

CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def build(settings: Settings, groups: list[tuple[float, list[nn.Parameter]]]) -> torch.optim.Optimizer:
    """The optimizer of these parameters, by the factor that their learning rate takes."""
    with_factors = [{"params": group, "lr_factor": factor} for factor, group in groups if group]
    shared: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": True}
    if settings.name == "sgd":
        shared["momentum"] = settings.momentum
    return CLASSES[settings.name](with_factors, **shared)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """This rate, times its factor, for each group."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`<parameter>.<quantity>`: all that these optimizers remember is tensors."""
    return {
        f"{number}.{quantity}": value
        for number, quantities in optimizer.state_dict()["state"].items()
        for quantity, value in quantities.items()
        if value is not None
    }


def restore(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Take up what `state_tensors` gave."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, quantity = key.partition(".")
        state.setdefault(int(number), {})[quantity] = _laid_out_as(parameters[int(number)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Fused optimizers walk parameters and their state as they lie in memory: both must lie alike (channels-last)."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
