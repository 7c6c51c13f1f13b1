"""Optimizers taken apart into tensors and put together again go on bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segpipe.params.schema import Optimizer
from segpipe.training import optimizers


def whole(model: nn.Module) -> list[tuple[float, list[nn.Parameter]]]:
    """One group of everything that is trained."""
    return [(1.0, [parameter for parameter in model.parameters() if parameter.requires_grad])]


Groups = Callable[[nn.Sequential], list[tuple[float, list[nn.Parameter]]]]


def network(seed: int = 0) -> nn.Sequential:
    """Small, with every kind of parameter, in the memory format that training uses."""
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(4, 2, 1)
    )
    return layers.to(memory_format=torch.channels_last)


def halved(model: nn.Sequential) -> list[tuple[float, list[nn.Parameter]]]:
    """The first layers at a tenth of the rate of the others."""
    return [(0.1, [*model[:2].parameters()]), (1.0, [*model[2:].parameters()])]


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
@pytest.mark.parametrize("groups", [whole, halved])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_restored_optimizer_makes_the_same_next_steps(
    name: str, groups: Groups, steps_before: int, tmp_path: Path
) -> None:
    settings = Optimizer.model_validate({"name": name, "lr": 0.01, "weight_decay": 0.1})
    model = network()
    optimizer = optimizers.build(settings, groups(model))
    for seed in range(steps_before):
        step(model, optimizer, seed)

    restored = network(seed=1)
    restored.load_state_dict(through_a_file(model.state_dict(), tmp_path / "model"))
    follower = optimizers.build(settings, groups(restored))
    optimizers.restore(follower, through_a_file(optimizers.state_tensors(optimizer), tmp_path / "optimizer"))
    for one in (optimizer, follower):
        optimizers.set_learning_rate(one, 0.005)
    for seed in (10, 11):
        step(model, optimizer, seed)
        step(restored, follower, seed)
    for (key, expected), found in zip(model.state_dict().items(), restored.state_dict().values(), strict=True):
        assert torch.equal(expected, found), key


@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
def test_sgd_has_the_momentum_that_is_asked_for(momentum: float) -> None:
    # Gradient 1 throughout: steps of lr * 1, then lr * (1 + momentum).
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = optimizers.build(Optimizer(name="sgd", lr=0.5, momentum=momentum), whole(model))
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert model.weight.item() == pytest.approx(-0.5 * (1 + 1 + momentum))


def test_frozen_parameters_are_left_out_of_the_optimizer() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = optimizers.build(Optimizer(lr=0.1), whole(model))
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(p) for layer in model[1:] for p in layer.parameters()}


def test_each_group_learns_at_its_own_multiple_of_the_rate() -> None:
    model = network()
    optimizer = optimizers.build(Optimizer(lr=1.0), halved(model))
    assert [group["lr_factor"] for group in optimizer.param_groups] == [0.1, 1.0]
    for lr in (0.25, 0.5):
        optimizers.set_learning_rate(optimizer, lr)
        assert [group["lr"] for group in optimizer.param_groups] == [0.1 * lr, lr]


def test_a_step_moves_each_group_by_its_own_rate() -> None:
    # Plain gradient descent, first step: the gradient, 1 throughout, times 0.5 and the group's factor.
    slow, fast = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = optimizers.build(Optimizer(name="sgd", lr=9.0), [(0.1, [slow]), (1.0, [fast])])
    optimizers.set_learning_rate(optimizer, 0.5)
    torch.autograd.backward((slow + fast).sum())
    optimizer.step()
    assert [slow.item(), fast.item()] == pytest.approx([-0.05, -0.5])


def test_a_restored_optimizer_keeps_the_factors_of_its_groups() -> None:
    model = network()
    optimizer = optimizers.build(Optimizer(lr=0.1), halved(model))
    step(model, optimizer, 0)
    follower = optimizers.build(Optimizer(lr=0.1), halved(model))
    optimizers.restore(follower, optimizers.state_tensors(optimizer))
    optimizers.set_learning_rate(follower, 2.0)
    assert [group["lr"] for group in follower.param_groups] == [0.2, 2.0]


def test_a_group_in_which_nothing_is_trained_is_left_out() -> None:
    model = network()
    optimizer = optimizers.build(Optimizer(lr=0.1), [*whole(model), (0.1, [])])
    assert len(optimizer.param_groups) == 1


def test_weight_decay_is_that_of_the_settings_for_every_group() -> None:
    optimizer = optimizers.build(Optimizer(name="adamw", lr=0.1, weight_decay=0.3), halved(network()))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.3]
