"""A transposed convolution of stride 2 as a matrix product is the transposed convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from segpipe.layers.token_decoder import doubled


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 5, 3, 4)])
def test_cells_are_doubled_as_the_transposed_convolution_does(shape: tuple[int, ...], has_bias: bool) -> None:
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(shape[1], 7, 2, stride=2, bias=has_bias).double()
    cells = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(shape[0], 7, 2 * shape[2], 2 * shape[3], dtype=torch.float64)
    given = [cells, *up.parameters()]
    expected, found = up(cells), doubled(cells, up)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), given),
        torch.autograd.grad((expected * weights).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_what_comes_out_has_its_channels_last() -> None:
    up = nn.ConvTranspose2d(4, 6, 2, stride=2)
    assert doubled(torch.randn(2, 4, 3, 5), up).is_contiguous(memory_format=torch.channels_last)
