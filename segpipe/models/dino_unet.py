"""A frozen DINOv2 transformer under four transposed convolutions (published for AeroScapes, system S0).

Published is the plain form, whose 16 cells for every 14 pixels are read out through a centre crop. `readout: crop`
crops the truth to the same window; `crop_unaligned` takes the centre of the image, as published: wrong on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import nn

    from segpipe.layers.encoders import EncoderWeights
    from segpipe.layers.segmentation_model import SegmentationModel

LIBRARY = "timm"


class Options(Settings):
    readout: Literal["resize", "crop", "crop_unaligned"] = "resize"
    decoder_channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (512, 256, 128, 64)
    kernel: Literal[2, 4] = 2
    norm: Literal["none", "batch", "group"] = "none"
    skips: Annotated[tuple[PositiveInt, ...], Field(max_length=4)] = ()
    """Numbers of blocks, the first is 1, whose maps skip to the decoder: the latest to the coarsest cells."""
    trainable_blocks: NonNegativeInt = 0
    """So many of the last blocks are trained, with the closing norm; all before them stays frozen."""
    backbone_lr_factor: PositiveFloat = 0.1
    """Their learning rate, as a multiple of the decoder's."""
    depth: PositiveInt | None = None
    """How many of the transformer's blocks are used, from the first; all, unless said."""

    @property
    def size_multiple(self) -> int:
        return 14

    @model_validator(mode="after")
    def _skips_rise(self) -> Options:
        if list(self.skips) != sorted(set(self.skips)):
            raise ValueError(f"skips {list(self.skips)} must be different numbers in rising order")
        return self


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """The decoder over `encoder`, a transformer with patches of 14 pixels."""
    from torch import Tensor

    from segpipe.layers import readouts
    from segpipe.layers.segmentation_model import SegmentationModel
    from segpipe.layers.vision_transformer import PATCH, trunk_and_tail, vision_transformer

    class DinoUNet(SegmentationModel):
        shows_whole_image = options.readout == "resize"

        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            network = vision_transformer(encoder, options.depth)
            after = (*options.skips, len(network.blocks))
            self.backbone, self.tail = trunk_and_tail(network, after, options.trainable_blocks)
            self.decoder = _decoder(options, network.embed_dim, num_classes)
            self.freeze("backbone")

        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            logits: Tensor = self.decoder(self.tail(features))
            return logits

        def cell_grid(self, size: tuple[int, int]) -> tuple[int, int]:
            return size[0] // PATCH * 16, size[1] // PATCH * 16

        def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
            return readouts.read_out(cell_logits, size, options.readout)

        def truth(self, masks: Tensor) -> Tensor:
            return readouts.truth_of(masks, self.cell_grid((masks.shape[1], masks.shape[2])), options.readout)

        def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
            return [(1.0, [*self.decoder.parameters()]), (options.backbone_lr_factor, [*self.tail.parameters()])]

    return DinoUNet()


def _decoder(options: Options, channels: int, num_classes: int) -> nn.Module:
    """Maps [B, channels, h, w] -> logits [B, num_classes, 16h, 16w]."""
    from segpipe.layers.token_decoder import TokenDecoder

    return TokenDecoder(
        channels,
        options.decoder_channels,
        num_classes,
        kernel=options.kernel,
        norm=options.norm,
        num_skips=len(options.skips),
    )
