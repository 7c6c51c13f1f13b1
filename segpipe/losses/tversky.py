"""Tversky loss, 1 − TP/(TP + α·FP + β·FN): the mean over the classes in the batch (S3; α = β = 0.5 is Dice)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveFloat

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Settings):
    alpha: PositiveFloat = 0.5
    beta: PositiveFloat = 0.5


def build(options: Options, class_weights: Tensor) -> nn.Module:
    """The module; our own, since smp's takes absent classes for solved ones, and divides by them."""
    from segpipe.layers.soft_counts import soft_counts
    from segpipe.layers.weighted_loss import WeightedLoss

    class Tversky(WeightedLoss):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            counts = soft_counts(logits, masks)
            losses = counts.tversky_losses(options.alpha, options.beta)
            return {"tversky": self.mean_over_classes(losses, counts.is_present)}

    return Tversky(class_weights)
