"""U-Net over an ImageNet encoder (published for the 400-image drone set, system S3).

Published: the encoder frozen, from scratch for comparison (weights whose source is random, and `frozen: false`), and
separable convolutions in the decoder, or in encoder and decoder. Ours: smp's decoder, which S3 does not describe, and
that the last 3x3 convolution, which makes the logits, stays whole. A pretrained encoder made separable keeps the
weights of all its other layers; what stands in for a 3x3 convolution begins untrained, so it cannot be frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from segpipe.layers.encoders import EncoderWeights
    from segpipe.layers.segmentation_model import SegmentationModel


LIBRARY = "smp"


class Options(Settings):
    frozen: bool = True
    decoder_channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (256, 128, 64, 32, 16)
    separable: Literal["none", "decoder", "all"] = "none"

    @field_validator("separable")
    @classmethod
    def _can_be_trained(cls, separable: str, info: ValidationInfo) -> str:
        if separable == "all" and info.data.get("frozen"):
            raise PydanticCustomError(
                "untrained",
                "none or decoder beside `frozen: true` (a separable encoder begins partly untrained), "
                "or write `frozen: false`",
            )
        return separable

    @property
    def size_multiple(self) -> int:
        return 32


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """smp's U-Net over `encoder`, one of smp, or of timm by smp's name for it: `tu-convnext_tiny`."""
    import segmentation_models_pytorch as smp
    from torch import Tensor

    from segpipe.layers.segmentation_model import SegmentationModel
    from segpipe.layers.separable import make_separable

    class UNet(SegmentationModel):
        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            network = smp.Unet(
                encoder.encoder, encoder_weights=None, decoder_channels=options.decoder_channels, classes=num_classes
            )
            network.encoder.load_state_dict(encoder.state)
            self.backbone, self.decoder, self.classifier = network.encoder, network.decoder, network.segmentation_head
            if options.separable != "none":
                make_separable(self.decoder)
            if options.separable == "all" and not make_separable(self.backbone):
                raise ValueError(
                    f"encoder '{encoder.encoder}' has no 3x3 convolution that could be made separable. "
                    "Take `separable: decoder`, or another encoder"
                )
            if options.frozen:
                self.freeze("backbone")

        def features(self, images: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.backbone(images)[1:])  # the first is the image itself

        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            # Of the image, smp's decoder asks for nothing but its size.
            image = features[0].new_empty(0, 0, *(2 * side for side in features[0].shape[2:]))
            logits: Tensor = self.classifier(self.decoder([image, *features]))
            return logits

    return UNet()
