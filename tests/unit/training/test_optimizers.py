"""Optimizers taken apart into tensors and put together again go on bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segpipe.params.schema import Optimizer
from segpipe.training import optimizers


def network(seed: int = 0) -> nn.Sequential:
    """Small, with every kind of parameter, in the memory format that training uses."""
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(4, 2, 1)
    )
    return layers.to(memory_format=torch.channels_last)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    images = torch.rand(2, 3, 10, 10, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad(set_to_none=True)
    model(images.contiguous(memory_format=torch.channels_last)).square().mean().backward()
    optimizer.step()


def through_a_file(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """As the resume file keeps them: safetensors holds contiguous tensors only."""
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    read: dict[str, Tensor] = load_file(path)
    return read


@pytest.mark.parametrize("steps_before", [0, 1, 3])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_restored_optimizer_makes_the_same_next_steps(name: str, steps_before: int, tmp_path: Path) -> None:
    settings = Optimizer.model_validate({"name": name, "lr": 0.01, "weight_decay": 0.1})
    model = network()
    optimizer = optimizers.build(settings, model)
    for seed in range(steps_before):
        step(model, optimizer, seed)

    restored = network(seed=1)
    restored.load_state_dict(through_a_file(model.state_dict(), tmp_path / "model"))
    follower = optimizers.build(settings, restored)
    optimizers.restore(follower, through_a_file(optimizers.state_tensors(optimizer), tmp_path / "optimizer"))
    for seed in (10, 11):
        step(model, optimizer, seed)
        step(restored, follower, seed)
    for (key, expected), found in zip(model.state_dict().items(), restored.state_dict().values(), strict=True):
        assert torch.equal(expected, found), key


def test_sgd_has_the_momentum_that_papers_mean() -> None:
    # Gradient 1 throughout: steps of lr * 1, then lr * 1.9, with momentum 0.9.
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = optimizers.build(Optimizer(name="sgd", lr=0.5), model)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert model.weight.item() == pytest.approx(-0.5 * (1 + 1.9))


def test_frozen_parameters_are_left_out_of_the_optimizer() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = optimizers.build(Optimizer(lr=0.1), model)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(p) for layer in model[1:] for p in layer.parameters()}


def test_the_learning_rate_is_set_in_every_group() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [p], "lr": 1.0} for p in parameters])
    optimizers.set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
