"""DenseASPP (system S2): a cascade of atrous blocks, each fed the features and the outputs of all blocks before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class DenseASPPHead(nn.Module):
    """The cascade and its classifier, a 1x1 convolution on everything concatenated."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dilations: Sequence[int],
        growth: int,
        bottleneck: int | None,
        has_last_norm: bool,
    ) -> None:
        super().__init__()
        widths = [in_channels + growth * number for number in range(len(dilations) + 1)]
        self.blocks = nn.ModuleList(
            atrous_block(width, growth, dilation, bottleneck, has_last_norm)
            for width, dilation in zip(widths, dilations, strict=False)
        )
        self.classifier = nn.Conv2d(widths[-1], num_classes, 1)
        self.removed_blocks = 0

    def forward(self, features: Tensor) -> Tensor:
        """[B, channels, h, w] -> logits [B, C, h, w]."""
        kept = len(self.blocks) - self.removed_blocks
        for block in self.blocks[:kept]:
            features = torch.cat([features, block(features)], dim=1)
        # Without the blocks that are removed, the classifier's weights for their outputs have nothing to weigh.
        weight = self.classifier.weight[:, : features.shape[1]]
        return functional.conv2d(features, weight, self.classifier.bias)

    def remove_top_blocks(self, count: int) -> None:
        """From now on do without the last `count` blocks; 0 brings all of them back.

        No block before them reads what they make, and the classifier is linear: its other weights go on to mean what
        they meant when they were trained, and the logits are those of outputs that are zero.
        """
        if not 0 <= count <= len(self.blocks):
            raise ValueError(f"there are {len(self.blocks)} blocks: {count} cannot be removed. Name 0 to all of them")
        self.removed_blocks = count


def atrous_block(
    in_channels: int, growth: int, dilation: int, bottleneck: int | None, has_last_norm: bool
) -> nn.Sequential:
    """BN-ReLU-3x3, with a bottleneck 1x1-BN-ReLU before the 3x3, or a norm after it, where the layout has them."""
    parts: list[nn.Module] = [nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)]
    if bottleneck is not None:
        parts += [nn.Conv2d(in_channels, bottleneck, 1, bias=False), nn.BatchNorm2d(bottleneck), nn.ReLU(inplace=True)]
        in_channels = bottleneck
    parts += [nn.Conv2d(in_channels, growth, 3, padding=dilation, dilation=dilation, bias=False)]
    if has_last_norm:
        parts += [nn.BatchNorm2d(growth)]
    return nn.Sequential(*parts)
