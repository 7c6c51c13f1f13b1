"""The Lovász extension: the Jaccard loss at its corners, its steps as exact fractions, its order that of the errors."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch

from segpipe.layers.lovasz_extension import jaccard_steps, lovasz_extension

IS_TRUE = torch.tensor([True, False, True, True, False])


def jaccard_loss(is_true: list[bool], is_wrong: list[bool]) -> Fraction:
    hits = sum(true and not wrong for true, wrong in zip(is_true, is_wrong, strict=True))
    union = sum(true or wrong for true, wrong in zip(is_true, is_wrong, strict=True))
    return 1 - Fraction(hits, union)


@pytest.mark.parametrize("is_wrong", list(itertools.product([False, True], repeat=5)))
def test_errors_of_0_and_1_cost_the_jaccard_loss(is_wrong: tuple[bool, ...]) -> None:
    errors = torch.tensor(is_wrong).float()
    expected = jaccard_loss(IS_TRUE.tolist(), list(is_wrong))
    assert lovasz_extension(errors, IS_TRUE).item() == pytest.approx(float(expected), abs=1e-6)


def test_the_steps_are_the_papers_differences() -> None:
    """Algorithm 1 of the paper, in exact fractions."""
    is_true = (torch.rand(200, generator=torch.Generator().manual_seed(0)) < 0.3).tolist()
    losses = [jaccard_loss(is_true, [i < wrong for i in range(200)]) for wrong in range(201)]
    expected = [float(after - before) for before, after in itertools.pairwise(losses)]
    assert jaccard_steps(torch.tensor(is_true)).tolist() == pytest.approx(expected, rel=1e-6)


def test_a_small_step_keeps_its_digits_among_a_million_pixels() -> None:
    """The difference of two float32 losses near 1 has one digit left of it, if any."""
    is_true = torch.zeros(1_000_000, dtype=torch.bool)
    is_true[-2:] = True
    # Two hits and a union of 999 999 + 1, then of 1 000 000; then a hit less, and the union stays.
    steps = jaccard_steps(is_true)
    assert steps[-3].item() == pytest.approx(2 / (1_000_000 * 999_999), rel=1e-6)
    assert steps[-1].item() == pytest.approx(1e-6, rel=1e-6)
    assert steps.double().sum().item() == pytest.approx(1, rel=1e-6)


def test_the_gradient_is_largest_where_the_error_is() -> None:
    errors = torch.tensor([0.1, 0.5, 0.9, 0.3, 0.0], requires_grad=True)
    torch.autograd.backward(lovasz_extension(errors, IS_TRUE))
    # Worst first: true, false, true, true, false.
    assert errors.grad is not None
    in_order = jaccard_steps(torch.tensor([True, False, True, True, False]))
    assert errors.grad[[2, 1, 3, 0, 4]].tolist() == in_order.tolist()
    assert in_order.tolist() == pytest.approx([1 / 3, 2 / (4 * 3), 1 / 4, 1 / 4, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_by_bits_is_that_of_the_numbers_down_to_the_smallest(dtype: torch.dtype) -> None:
    smallest = torch.finfo(dtype).smallest_normal
    errors = torch.tensor([0, smallest, smallest / 4, 1e-9, 0.5, 0.5 + 1e-6, 1], dtype=dtype, requires_grad=True)
    is_true = torch.ones(7, dtype=torch.bool)
    is_true[2] = False
    torch.autograd.backward(lovasz_extension(errors, is_true))
    assert errors.grad is not None
    sorted_by_value = errors.detach().argsort(descending=True)
    assert errors.grad[sorted_by_value].tolist() == jaccard_steps(is_true[sorted_by_value]).tolist()


def test_a_class_that_is_not_there_costs_nothing() -> None:
    errors = torch.tensor([0.9, 0.1], requires_grad=True)
    value = lovasz_extension(errors, torch.zeros(2, dtype=torch.bool))
    torch.autograd.backward(value)
    assert value.item() == 0
    assert errors.grad is not None
    assert errors.grad.tolist() == [0, 0]
