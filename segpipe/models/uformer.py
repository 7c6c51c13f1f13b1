"""The weighted average of two trained models: U-Net and SegFormer, called UFormer for the drone set (S3).

Published is that the average beats both, that its weights can be optimised, and curves over epochs: the pair was
trained on. Hence two modes. `average` trains nothing and only fits the weight; `joint` goes on training both members
and the weight, through the average, from their checkpoints; what a member holds frozen stays so.
Not the U-shaped restoration network of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from segpipe.layers.segmentation_model import SegmentationModel


LIBRARY = "members"


class Options(Settings):
    mode: Literal["average", "joint"] = "average"

    @property
    def size_multiple(self) -> int:
        return 1  # its members' own experiments bind the size already


def build(options: Options, members: tuple[SegmentationModel, SegmentationModel]) -> SegmentationModel:
    """Both members, behind one weight."""
    from segpipe.layers.weighted_average import WeightedAverage

    model = WeightedAverage(*members)
    if options.mode == "average":
        model.freeze("first", "second")
    return model
