"""DenseASPP over an extractor of output stride 8 (published for Cityscapes, system S2).

Published: the layouts of the head, and that the first two cut the extractor short, layout 2 behind dense block 3. Ours:
layout 1 takes 512 channels, which DenseNet-121 has behind dense block 2 and transition 3, and we read the former;
nothing is said of dropout, so there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from segpipe.layers.encoders import EncoderWeights
    from segpipe.layers.segmentation_model import SegmentationModel


LIBRARY = "timm"


class Layout(NamedTuple):
    """A line of the published table of experiments."""

    dilations: tuple[int, ...]
    growth: int
    bottleneck: int | None = None
    has_last_norm: bool = False
    last_block: int | None = None
    """The dense block that the extractor is cut behind."""


LAYOUTS = {
    1: Layout((3, 6, 9, 12), growth=32, last_block=2),
    2: Layout((3, 6, 9, 12), growth=32, last_block=3),
    3: Layout((6, 12, 18, 24), growth=32),
    4: Layout((3, 6, 12, 18, 24), growth=64, bottleneck=256),
    5: Layout((3, 6, 9, 12, 18, 24), growth=64, bottleneck=256, has_last_norm=True),
}


class Options(Settings):
    layout: Literal[1, 2, 3, 4, 5] = 4
    """The number of the published experiment."""
    frozen: bool = False

    @property
    def size_multiple(self) -> int:
        return 8


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """The head of that layout on the features of `encoder`: a densenet, mobilenetv3 or convnext of timm."""
    from torch import Tensor
    from torch.nn import functional

    from segpipe.layers.dense_aspp_head import DenseASPPHead
    from segpipe.layers.segmentation_model import SegmentationModel
    from segpipe.layers.stride8_extractors import stride8_extractor

    class DenseASPP(SegmentationModel):
        output_stride = 8

        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            layout = LAYOUTS[options.layout]
            self.backbone, channels = stride8_extractor(encoder, layout.last_block)
            self.aspp = DenseASPPHead(
                channels,
                num_classes,
                dilations=layout.dilations,
                growth=layout.growth,
                bottleneck=layout.bottleneck,
                has_last_norm=layout.has_last_norm,
            )
            if options.frozen:
                self.freeze("backbone")

        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            logits: Tensor = self.aspp(features[0])
            return logits

        def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
            # In bf16 there would be ties between neighbouring classes.
            return functional.interpolate(cell_logits.float(), size, mode="bilinear", align_corners=False)

        def remove_top_blocks(self, count: int) -> None:
            """Do without the last `count` blocks of the cascade from now on, as the study of layer removal does."""
            self.aspp.remove_top_blocks(count)

    return DenseASPP()
