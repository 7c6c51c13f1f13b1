"""The decoder of tokens is what its transposed convolutions make, whatever order its cells are kept in."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segpipe.layers.readouts import enlarged
from segpipe.layers.token_decoder import CELLS_AT_ONCE, Doubling, Norm, TokenDecoder, by_family, in_place

GRID = (3, 5)
LARGE_GRID = (48, 50)
"""Of two images, three doublings make more cells of it than are worked on at once."""


def as_published(decoder: TokenDecoder, maps: tuple[Tensor, ...]) -> Tensor:
    """The same by torch's own transposed convolutions, on maps."""
    *skips, cells = maps
    for number, doubling in enumerate(decoder.doublings):
        assert isinstance(doubling, Doubling)
        cells = doubling.up(cells)
        if doubling.project is not None:
            height, width = cells.shape[2:]
            cells = cells + enlarged(doubling.project(skips[-1 - number]), (height, width)).to(cells.dtype)
        cells = functional.relu(doubling.norm(cells))
    logits: Tensor = decoder.classifier(cells)
    return logits


def assert_same(decoder: TokenDecoder, maps: tuple[Tensor, ...]) -> None:
    """The same logits and gradients as by torch's own transposed convolutions."""
    found, expected = decoder(maps), as_published(decoder, maps)
    torch.testing.assert_close(found, expected)
    weights, given = torch.randn_like(expected), [*maps, *decoder.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), given),
        torch.autograd.grad((expected * weights).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def tokens(count: int, grid: tuple[int, int]) -> tuple[Tensor, ...]:
    return tuple(torch.randn(2, 24, *grid, dtype=torch.float64, requires_grad=True) for _ in range(count))


@pytest.mark.parametrize("num_skips", [0, 2])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("kernel", [2, 4])
def test_a_decoder_makes_what_transposed_convolutions_make(kernel: int, norm: Norm, num_skips: int) -> None:
    torch.manual_seed(0)
    decoder = TokenDecoder(24, (16, 12, 8), 5, kernel=kernel, norm=norm, num_skips=num_skips).double()
    assert_same(decoder, tokens(1 + num_skips, GRID))


@pytest.mark.parametrize("num_skips", [0, 1, 3])
def test_cells_that_are_too_many_at_once_are_doubled_piece_by_piece(num_skips: int) -> None:
    torch.manual_seed(0)
    decoder = TokenDecoder(24, (16, 12, 8), 5, kernel=2, norm="none", num_skips=num_skips).double()
    assert 2 * math.prod(LARGE_GRID) * 4**3 > 2 * CELLS_AT_ONCE
    assert_same(decoder, tokens(1 + num_skips, LARGE_GRID))


@pytest.mark.parametrize("generations", [0, 1, 3])
def test_cells_come_back_to_their_places(generations: int) -> None:
    size = [2**generations * side for side in GRID]
    cells = torch.randn(2, 4, *size)
    families = by_family(cells, GRID, generations)
    assert families.shape == (2, 4, cells[0, 0].numel(), 1)
    assert torch.equal(in_place(families, GRID, generations), cells)


def test_the_cells_of_one_token_lie_together() -> None:
    token = torch.arange(15.0).view(1, 1, *GRID)
    families = by_family(token.repeat_interleave(4, 2).repeat_interleave(4, 3), GRID, 2)
    assert torch.equal(families.flatten(), token.flatten().repeat_interleave(16))


def test_logits_have_their_channels_last() -> None:
    decoder = TokenDecoder(8, (6, 4), 3, kernel=2, norm="none", num_skips=0)
    assert decoder((torch.randn(2, 8, *GRID),)).is_contiguous(memory_format=torch.channels_last)
