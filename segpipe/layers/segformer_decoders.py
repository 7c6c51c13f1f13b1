"""SegFormer's decoders: every level of the encoder through a linear layer, up-sampled to the finest, and classified."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class MlpDecoder(nn.Module):
    """As published: a linear layer fuses all levels, and another classifies.

    The fusing layer is a sum of one for each level, and runs before the up-sampling, with which it commutes: the same
    logits and parameters for a third of the work.
    """

    def __init__(self, channels: Sequence[int], width: int, num_classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(of_level, width, 1), nn.Conv2d(width, width, 1, bias=False))
            for of_level in channels
        )
        self.classifier = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, num_classes, 1))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Levels [B, C_i, h / 2^i, w / 2^i] -> logits [B, C, h, w]."""
        finest, *others = _at_one_size(self.levels, features)
        logits: Tensor = self.classifier(sum(others, finest))
        return logits


class ConvolutionDecoder(nn.Module):
    """A 3x3 convolution from all levels to the classes in place of the two last linear layers."""

    def __init__(self, channels: Sequence[int], width: int, num_classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(of_level, width, 1) for of_level in channels)
        self.classifier = nn.Conv2d(len(channels) * width, num_classes, 3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Levels [B, C_i, h / 2^i, w / 2^i] -> logits [B, C, h, w]."""
        logits: Tensor = self.classifier(torch.cat(_at_one_size(self.levels, features), 1))
        return logits


def _at_one_size(layers: nn.ModuleList, features: Sequence[Tensor]) -> list[Tensor]:
    size = features[0].shape[-2:]
    return [
        functional.interpolate(layer(level), size, mode="bilinear", align_corners=False)
        for layer, level in zip(layers, features, strict=True)
    ]
