"""Transposed convolutions from a map of tokens to cells a sixteenth as wide (system S0)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from segpipe.layers.readouts import enlarged

Norm = Literal["none", "batch", "group"]

CELLS_AT_ONCE = 2**15
"""So many finest cells keep to a processor's caches, and to memory that it has: faster than all of a batch at once."""


class Doubling(nn.Module):
    """A transposed convolution of stride 2, what skips to it, a norm, ReLU: four cells for each."""

    def __init__(self, channels: int, width: int, kernel: int, norm: Norm, skip_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(
            channels, width, kernel, stride=2, padding=(kernel - 2) // 2, bias=norm == "none"
        )  # a norm has a bias of its own
        self.project = nn.Conv2d(skip_channels, width, 1, bias=False) if skip_channels else None
        self.norm = _normalising(norm, width)
        self.act = nn.ReLU()  # in place, autograd would copy what is a view

    def forward(self, below: Tensor, skip: Tensor | None, grid: tuple[int, int], generation: int) -> Tensor:
        """Cells so many doublings from tokens in this grid: a map [B, C, h, w], or, for kernel 2, by family."""
        is_alone = self.up.kernel_size == (2, 2)
        above: Tensor = doubled(below, self.up) if is_alone else self.up(below)
        if self.project is not None and skip is not None:
            size = (2**generation * grid[0], 2**generation * grid[1])
            beside = enlarged(self.project(skip), size).to(above.dtype)
            above = above + (by_family(beside, grid, generation) if is_alone else beside)
        activated: Tensor = self.act(self.norm(above))
        return activated


# A transposed convolution whose kernel is its stride lets no cell see another. So cells need no places until the end:
# each is followed by its own four, those by theirs, [B, C, cells, 1], and every doubling is one matrix product.


def quadrupled(rows: Tensor, up: nn.ConvTranspose2d) -> Tensor:
    """What `up`, of kernel and stride 2, makes of each cell: [cells, C] -> [cells, 2 * 2 * D]."""
    four = rows @ up.weight.permute(0, 2, 3, 1).reshape(rows.shape[1], -1)
    return four if up.bias is None else four.add_(up.bias.repeat(4))  # addmm would first fill it with the bias


def doubled(cells: Tensor, up: nn.ConvTranspose2d) -> Tensor:
    """The same in a batch: [B, C, cells, 1] -> [B, D, 4 * cells, 1]."""
    batch, channels, count, _ = cells.shape
    four = quadrupled(cells.permute(0, 2, 3, 1).reshape(-1, channels), up)
    return four.view(batch, 4 * count, 1, -1).permute(0, 3, 1, 2)


def by_family(cells: Tensor, grid: tuple[int, int], generations: int) -> Tensor:
    """A map [B, C, 2^n h, 2^n w], n generations from a grid [h, w] -> [B, C, cells, 1]."""
    batch, channels = cells.shape[:2]
    halves = [2] * generations
    split = cells.permute(0, 2, 3, 1).reshape(batch, grid[0], *halves, grid[1], *halves, channels)
    rows, columns = range(1, 2 + generations), range(2 + generations, 3 + 2 * generations)
    order = [axis for pair in zip(rows, columns, strict=True) for axis in pair]
    families = split.permute(0, *order, split.dim() - 1)
    return families.reshape(batch, -1, 1, channels).permute(0, 3, 1, 2)


def in_place(families: Tensor, grid: tuple[int, int], generations: int) -> Tensor:
    """The way back: [B, C, cells, 1] -> [B, C, 2^n h, 2^n w], channels last."""
    batch, channels = families.shape[:2]
    split = families.permute(0, 2, 3, 1).reshape(batch, *grid, *[2, 2] * generations, channels)
    rows, columns = range(1, split.dim() - 1, 2), range(2, split.dim() - 1, 2)
    placed = split.permute(0, *rows, *columns, split.dim() - 1)
    times = 2**generations
    return placed.reshape(batch, times * grid[0], times * grid[1], channels).permute(0, 3, 1, 2)


class TokenDecoder(nn.Module):
    """A doubling for each width and a 1x1 convolution; the maps after earlier blocks skip to the first doublings."""

    def __init__(
        self, channels: int, widths: Sequence[int], num_classes: int, *, kernel: int, norm: Norm, num_skips: int
    ) -> None:
        super().__init__()
        self.num_skips, self._are_alone = num_skips, kernel == 2
        self._first_apart = num_skips if self._are_alone and norm == "none" else len(widths)
        """From this doubling on, families of cells need nothing of each other."""
        self.doublings = nn.ModuleList(
            Doubling(below, width, kernel, norm, channels if number < num_skips else 0)
            for number, (below, width) in enumerate(zip((channels, *widths), widths, strict=False))
        )
        self.classifier = nn.Conv2d(widths[-1], num_classes, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Maps [B, channels, h, w] of ever later blocks -> logits [B, C, 16h, 16w] (for four widths)."""
        *skips, cells = maps
        batch, grid = cells.shape[0], (cells.shape[2], cells.shape[3])  # `len` would fix the sizes of a traced graph
        cells = by_family(cells, grid, 0) if self._are_alone else cells
        for number, doubling in enumerate(self.doublings[: self._first_apart]):
            # The later the block, the coarser the cells that its map skips to.
            skip = skips[-1 - number] if number < self.num_skips else None
            cells = doubling(cells, skip, grid, number + 1)
        if not self._are_alone:
            logits: Tensor = self.classifier(cells)
            return logits
        lines = cells.permute(0, 2, 3, 1).reshape(batch * grid[0], -1, cells.shape[1])
        placed = torch.cat([self._classified(piece, grid[1]) for piece in self._pieces(lines)])
        return placed.view(batch, -1, *placed.shape[2:]).permute(0, 3, 1, 2)

    def _pieces(self, lines: Tensor) -> tuple[Tensor, ...]:
        """What a processor doubles one after the other; all lines at once elsewhere, or where a graph is traced."""
        apart = len(self.doublings) - self._first_apart
        if not apart or lines.device.type != "cpu" or torch.compiler.is_compiling():
            return (lines,)
        return torch.split(lines, max(1, CELLS_AT_ONCE // 4**apart // lines.shape[1]))

    def _classified(self, lines: Tensor, width: int) -> Tensor:
        """Lines of tokens, by family [lines, cells, C] -> what the last doublings make of them [lines, k, k * w, D]."""
        count, _, channels = lines.shape
        rows = lines.reshape(-1, channels)
        for doubling in self.doublings[self._first_apart :]:
            assert isinstance(doubling, Doubling)
            rows = functional.relu_(quadrupled(rows, doubling.up)).view(4 * rows.shape[0], -1)
        logits = functional.linear(rows, self.classifier.weight.flatten(1), self.classifier.bias)
        families = logits.view(count, -1, 1, logits.shape[1]).permute(0, 3, 1, 2)
        return in_place(families, (1, width), len(self.doublings)).permute(0, 2, 3, 1)


def _normalising(norm: Norm, width: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(math.gcd(32, width), width) if norm == "group" else nn.Identity()
