"""A U-Net decoder that sees each of its scales at several rates (system S1), with attention gates as an option."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class AtrousDecoder(nn.Module):
    """A bridge and a stage for each skip, each twice the size of the last."""

    def __init__(
        self,
        encoder_channels: Sequence[int],
        channels: Sequence[int],
        rates: Sequence[int],
        kernels: Sequence[int],
        has_gates: bool,
    ) -> None:
        super().__init__()
        *skips, deepest = encoder_channels
        self.bridge = convolution(deepest, channels[0], 1)
        self.stages = nn.ModuleList(
            DecoderStage(below, skip, out, rates, kernels, has_gates)
            for below, skip, out in zip([channels[0], *channels], reversed(skips), channels, strict=False)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """[B, c, h, w], the largest first -> [B, channels[-1], h, w] of the largest."""
        *skips, deepest = features
        decoded: Tensor = self.bridge(deepest)
        for stage, skip in zip(self.stages, reversed(skips), strict=True):
            decoded = stage(decoded, skip)
        return decoded


class DecoderStage(nn.Module):
    """Up-samples what comes from below, puts the skip beside it, and fuses both in an atrous block."""

    def __init__(
        self, below: int, skip: int, out: int, rates: Sequence[int], kernels: Sequence[int], has_gate: bool
    ) -> None:
        super().__init__()
        # Some encoders have no feature map at stride 2: their skip there has no channels.
        self.gate = AttentionGate(below, skip) if has_gate and skip else None
        self.block = AtrousBlock(below + skip, out, rates, kernels)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """[B, below, h, w], [B, skip, 2h, 2w] -> [B, out, 2h, 2w]."""
        above = functional.interpolate(below, scale_factor=2, mode="bilinear", align_corners=False)
        if self.gate is not None:
            skip = self.gate(above, skip)
        fused: Tensor = self.block(torch.cat([above, skip], dim=1))
        return fused


class AtrousBlock(nn.Module):
    """Parallel convolutions, one for each rate and kernel, that share `out` channels; a 1x1 convolution fuses them."""

    def __init__(self, in_channels: int, out: int, rates: Sequence[int], kernels: Sequence[int]) -> None:
        super().__init__()
        width = max(1, out // len(rates))
        self.branches = nn.ModuleList(
            convolution(in_channels, width, kernel, rate) for rate, kernel in zip(rates, kernels, strict=True)
        )
        self.fuse = convolution(width * len(rates), out, 1)

    def forward(self, features: Tensor) -> Tensor:
        fused: Tensor = self.fuse(torch.cat([branch(features) for branch in self.branches], dim=1))
        return fused


class AttentionGate(nn.Module):
    """Weighs each place of a skip between 0 and 1, by what it shows and what comes from below (additive attention)."""

    def __init__(self, below: int, skip: int) -> None:
        super().__init__()
        width = max(1, skip // 2)
        self.of_below = nn.Conv2d(below, width, 1, bias=False)
        self.of_skip = nn.Conv2d(skip, width, 1)
        self.weight = nn.Conv2d(width, 1, 1)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        return skip * torch.sigmoid(self.weight(functional.relu(self.of_below(below) + self.of_skip(skip))))


def convolution(in_channels: int, out: int, kernel: int, rate: int = 1) -> nn.Sequential:
    """Of the same size, with its norm and ReLU."""
    padding = rate * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out, kernel, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )
