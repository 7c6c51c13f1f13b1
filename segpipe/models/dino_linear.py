"""A frozen DINOv2 transformer under a light head; a checkpoint holds that head alone (system S4).

Published are the transformer, a linear or small convolutional head, and AdamW. The loss and the scores are taken at
full resolution: logits of tokens, which are 14 pixels wide, are up-sampled first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import nn

    from segpipe.layers.encoders import EncoderWeights
    from segpipe.layers.segmentation_model import SegmentationModel

LIBRARY = "timm"


class Options(Settings):
    head: Literal["linear", "bn_linear", "conv"] = "linear"
    layers: Literal[1, 4] = 1
    """The maps after so many of the last blocks, behind each other."""
    conv_channels: PositiveInt = 128
    """The width of the hidden layer, where the head is `conv`."""
    depth: PositiveInt | None = None
    """How many of the transformer's blocks are used, from the first; all, unless said."""

    @property
    def size_multiple(self) -> int:
        return 14


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """The head over `encoder`, a transformer with patches of 14 pixels."""
    import torch
    from torch import Tensor

    from segpipe.layers.readouts import enlarged
    from segpipe.layers.segmentation_model import SegmentationModel
    from segpipe.layers.vision_transformer import PATCH, trunk_and_tail, vision_transformer

    class DinoLinear(SegmentationModel):
        output_stride = PATCH

        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            network = vision_transformer(encoder, options.depth)
            depth = len(network.blocks)
            after = range(depth - options.layers + 1, depth + 1)
            self.backbone, _ = trunk_and_tail(network, after, trained=0)
            self.segmentation_head = _segmentation_head(options, options.layers * network.embed_dim, num_classes)
            self.freeze("backbone")

        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            logits: Tensor = self.segmentation_head(torch.cat(features, 1))
            return logits

        def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
            return enlarged(cell_logits, size)

    return DinoLinear()


def _segmentation_head(options: Options, channels: int, num_classes: int) -> nn.Module:
    """[B, channels, h, w] -> [B, num_classes, h, w]."""
    from torch import nn

    if options.head == "linear":
        return nn.Conv2d(channels, num_classes, 1)
    if options.head == "bn_linear":
        return nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, num_classes, 1))
    hidden = nn.Conv2d(channels, options.conv_channels, 3, padding=1)
    return nn.Sequential(hidden, nn.ReLU(inplace=True), nn.Conv2d(options.conv_channels, num_classes, 1))
