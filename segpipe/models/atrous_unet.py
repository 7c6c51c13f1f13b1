"""U-Net whose decoder stages are atrous blocks (published for binary buildings, system S1).

Published: a ResNet50 encoder, a bridge, up-sampling with skips, blocks of parallel branches with these rates and
kernels, concatenated and fused, the channels of the stages, a 1x1 convolution at the end. Ours, since S1 is silent: the
bridge is a 1x1 convolution to the first stage's width, up-sampling is bilinear, the branches of a block share its
channels evenly, a norm and ReLU follow each convolution, and attention, which S1 only wishes for, is a gate on each
skip. The last 1x1 convolution runs before the last up-sampling: the two commute, and it is a quarter of the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from segpipe.layers.encoders import EncoderWeights
    from segpipe.layers.segmentation_model import SegmentationModel


LIBRARY = "smp"


class Options(Settings):
    frozen: bool = False
    channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (1024, 512, 256, 64)
    """What each stage of the decoder makes, the deepest first."""
    rates: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 6, 12, 18)
    kernels: Annotated[tuple[Literal[1, 3, 5, 7], ...], Field(validate_default=True)] = (1, 3, 3, 3)
    attention: Literal["none", "gate"] = "none"

    @property
    def size_multiple(self) -> int:
        return 32

    @field_validator("kernels")
    @classmethod
    def _one_for_each_rate(cls, kernels: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        rates = len(info.data.get("rates", kernels))
        if len(kernels) != rates:
            raise PydanticCustomError("one_for_each", "{rates} in it, one for each rate", {"rates": rates})
        return kernels


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """The atrous decoder over `encoder`, any of smp's with feature maps down to stride 32."""
    from torch import Tensor, nn
    from torch.nn import functional

    from segpipe.layers.atrous_decoder import AtrousDecoder
    from segpipe.layers.encoders import encoder_module
    from segpipe.layers.segmentation_model import SegmentationModel

    class AtrousUNet(SegmentationModel):
        output_stride = 2

        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            backbone: Any = encoder_module(LIBRARY, encoder.encoder, pretrained=False)
            backbone.load_state_dict(encoder.state)
            self.backbone = backbone
            _, *widths = backbone.out_channels  # the first is the image itself
            has_gates = options.attention == "gate"
            self.decoder = AtrousDecoder(widths, options.channels, options.rates, options.kernels, has_gates)
            self.classifier = nn.Conv2d(options.channels[-1], num_classes, 1)
            if options.frozen:
                self.freeze("backbone")

        def features(self, images: Tensor) -> tuple[Tensor, ...]:
            _, *features = self.backbone(images)
            return tuple(features)

        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            logits: Tensor = self.classifier(self.decoder(features))
            return logits

        def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
            # In bf16 there would be ties between neighbouring classes.
            return functional.interpolate(cell_logits.float(), size, mode="bilinear", align_corners=False)

    return AtrousUNet()
