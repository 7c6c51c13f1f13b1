"""Cross entropy: the mean over the pixels (S0, S2, S4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Settings):
    """None: class weights belong to the experiment."""


def build(_options: Options, class_weights: Tensor) -> nn.Module:
    """The module; a batch in which all is ignored costs 0, where torch's own costs NaN."""
    from segpipe.layers.weighted_loss import WeightedLoss, cross_entropies

    class CrossEntropy(WeightedLoss):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            return {"cross_entropy": self.mean_over_pixels(cross_entropies(logits, masks), masks)}

    return CrossEntropy(class_weights)
