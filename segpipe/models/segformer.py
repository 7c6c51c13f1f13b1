"""SegFormer: a MiT encoder and a decoder of linear layers, or of one convolution in their place (system S3).

Published: the encoder, and that a convolution in place of the decoder's last linear layers saves parameters. Ours: it
is 3x3, reads all levels and makes the logits, which saves parameters up to 29 classes at the default width; `frozen`;
and `separable`, of which S3 does not say for which of its models. Cells are of stride 4, read out bilinearly about
their centres: smp's own SegFormer aligns corners instead, which moves things by up to 1.5 pixels.
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
    frozen: bool = False
    last_layer: Literal["mlp", "convolution"] = "mlp"
    width: PositiveInt = 256
    separable: Literal["none", "decoder"] = "none"

    @field_validator("separable")
    @classmethod
    def _needs_a_convolution(cls, separable: str, info: ValidationInfo) -> str:
        if separable == "decoder" and info.data.get("last_layer") == "mlp":
            raise PydanticCustomError("effectless", "none beside `last_layer: mlp`, which has nothing to separate")
        return separable

    @property
    def size_multiple(self) -> int:
        return 32


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """The decoder on the levels of `encoder` at strides 4 to 32: smp's mit_b0 to mit_b5."""
    from segmentation_models_pytorch.encoders import get_encoder
    from torch import Tensor
    from torch.nn import functional

    from segpipe.layers.segformer_decoders import ConvolutionDecoder, MlpDecoder
    from segpipe.layers.segmentation_model import SegmentationModel
    from segpipe.layers.separable import make_separable

    class SegFormer(SegmentationModel):
        output_stride = 4

        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            network = get_encoder(encoder.encoder, weights=None)
            network.load_state_dict(encoder.state)
            decoder = MlpDecoder if options.last_layer == "mlp" else ConvolutionDecoder
            self.backbone = network
            self.decoder = decoder(network.out_channels[-4:], options.width, num_classes)
            if options.separable == "decoder":
                make_separable(self.decoder)
            if options.frozen:
                self.freeze("backbone")

        def features(self, images: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.backbone(images)[-4:])

        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            logits: Tensor = self.decoder(features)
            return logits

        def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
            # In bf16 there would be ties between neighbouring classes.
            return functional.interpolate(cell_logits.float(), size, mode="bilinear", align_corners=False)

    return SegFormer()
