"""Dice loss, 1 − 2·TP/(2·TP + FP + FN): the mean over the classes in the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Settings):
    """None: what weighs the two kinds of error apart is the Tversky loss."""


def build(_options: Options, class_weights: Tensor) -> nn.Module:
    """The module; our own, since smp's takes absent classes for solved ones, and divides by them."""
    from segpipe.layers.soft_counts import soft_counts
    from segpipe.layers.weighted_loss import WeightedLoss

    class Dice(WeightedLoss):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            counts = soft_counts(logits, masks)
            return {"dice": self.mean_over_classes(counts.tversky_losses(0.5, 0.5), counts.is_present)}

    return Dice(class_weights)
