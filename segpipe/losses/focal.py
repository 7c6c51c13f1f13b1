"""Focal loss, −(1 − p)^γ · log p: cross entropy that turns away from what is learnt already (not at all for γ = 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Settings):
    gamma: NonNegativeFloat = 2.0


def build(options: Options, class_weights: Tensor) -> nn.Module:
    """The module; our own, since smp's asks of each class alone whether it is there, and sums C sigmoids."""
    import torch

    from segpipe.layers.weighted_loss import WeightedLoss, cross_entropies

    class Focal(WeightedLoss):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            costs = cross_entropies(logits, masks)
            # 1 − p, without the rounding of p; never 0, where a root has no gradient.
            doubts = (-torch.expm1(-costs)).clamp(min=torch.finfo(costs.dtype).tiny)
            return {"focal": self.mean_over_pixels(doubts**options.gamma * costs, masks)}

    return Focal(class_weights)
