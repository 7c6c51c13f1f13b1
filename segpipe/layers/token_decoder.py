"""Transposed convolutions from a map of tokens to cells a sixteenth as wide (system S0)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from segpipe.layers.readouts import enlarged

Norm = Literal["none", "batch", "group"]


class Doubling(nn.Module):
    """A transposed convolution of stride 2, what skips to it, a norm, ReLU: [B, C, h, w] -> [B, D, 2h, 2w]."""

    def __init__(self, channels: int, width: int, kernel: int, norm: Norm, skip_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(
            channels, width, kernel, stride=2, padding=(kernel - 2) // 2, bias=norm == "none"
        )  # a norm has a bias of its own
        self.project = nn.Conv2d(skip_channels, width, 1, bias=False) if skip_channels else None
        self.norm = _normalising(norm, width)
        self.act = nn.ReLU(inplace=True)

    def forward(self, below: Tensor, skip: Tensor | None) -> Tensor:
        above: Tensor = doubled(below, self.up) if self.up.kernel_size == (2, 2) else self.up(below)
        if self.project is not None and skip is not None:
            above = above + enlarged(self.project(skip), (above.shape[2], above.shape[3])).to(above.dtype)
        activated: Tensor = self.act(self.norm(above))
        return activated


def doubled(cells: Tensor, up: nn.ConvTranspose2d) -> Tensor:
    """What `up`, of kernel and stride 2, makes of cells [B, C, h, w], as one matrix product: [B, D, 2h, 2w].

    Its windows do not overlap, so each cell becomes four by itself. torch's own way back through it takes eleven times
    as long as its way forth on a processor, where the channels come last.
    """
    batch, channels, height, width = cells.shape
    weight = up.weight.permute(0, 2, 3, 1).reshape(channels, -1)  # [C, 2 * 2 * D]
    four = cells.permute(0, 2, 3, 1).reshape(-1, channels) @ weight
    tiles = four.view(batch, height, width, 2, 2, -1).transpose(2, 3)  # [B, h, 2, w, 2, D]
    above = tiles.reshape(batch, 2 * height, 2 * width, -1)
    return (above if up.bias is None else above + up.bias.to(above.dtype)).permute(0, 3, 1, 2)


class TokenDecoder(nn.Module):
    """A doubling for each width and a 1x1 convolution; the maps after earlier blocks skip to the first doublings."""

    def __init__(
        self, channels: int, widths: Sequence[int], num_classes: int, *, kernel: int, norm: Norm, num_skips: int
    ) -> None:
        super().__init__()
        self.num_skips = num_skips
        self.doublings = nn.ModuleList(
            Doubling(below, width, kernel, norm, channels if number < num_skips else 0)
            for number, (below, width) in enumerate(zip((channels, *widths), widths, strict=False))
        )
        self.classifier = nn.Conv2d(widths[-1], num_classes, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Maps [B, channels, h, w] of ever later blocks -> logits [B, C, 16h, 16w] (for four widths)."""
        *skips, cells = maps
        for number, doubling in enumerate(self.doublings):
            # The later the block, the coarser the cells that its map skips to.
            cells = doubling(cells, skips[-1 - number] if number < self.num_skips else None)
        logits: Tensor = self.classifier(cells)
        return logits


def _normalising(norm: Norm, width: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(math.gcd(32, width), width) if norm == "group" else nn.Identity()
