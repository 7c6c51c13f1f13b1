"""U-Net with an ImageNet encoder, frozen or not (published for the 400-image drone set, system S3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from segpipe.layers.encoders import EncoderWeights
    from segpipe.layers.segmentation_model import SegmentationModel


LIBRARY = "smp"


class Options(Settings):
    frozen: bool = True
    decoder_channels: tuple[PositiveInt, ...] = (256, 128, 64, 32, 16)

    @property
    def size_multiple(self) -> int:
        return 32


def build(options: Options, num_classes: int, encoder: EncoderWeights) -> SegmentationModel:
    """The smp U-Net over `encoder`, which the skip connections come from."""
    import segmentation_models_pytorch as smp
    from torch import Tensor

    from segpipe.layers.segmentation_model import SegmentationModel

    class UNet(SegmentationModel):
        def __init__(self) -> None:
            super().__init__(encoder.mean, encoder.std)
            self.network = smp.Unet(
                encoder.encoder,
                encoder_weights=None,
                decoder_channels=list(options.decoder_channels),
                classes=num_classes,
            )
            self.network.encoder.load_state_dict(encoder.state)
            if options.frozen:
                self.freeze("network.encoder")

        def cell_logits(self, images: Tensor) -> Tensor:
            logits: Tensor = self.network(images)
            return logits

    return UNet()
