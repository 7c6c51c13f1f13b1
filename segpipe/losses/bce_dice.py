"""Binary cross entropy and Dice together (S1): bce_weight · BCE + (1 − bce_weight) · Dice.

With two classes, the BCE on logit 1 − logit 0 is their cross entropy to the last digit: that is the `bce` here, and
with more classes the cross entropy of all of them. The Dice is S1's too, which knows one class, the buildings: it is
taken over all classes but the first, the background; `with_background` takes that in where the first is no such thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe.params.schema import Settings, Share

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Settings):
    bce_weight: Share = 0.5
    with_background: bool = False


def build(options: Options, class_weights: Tensor) -> nn.Module:
    """The module; its two terms are weighted already, so that they add up to the loss."""
    from segpipe.layers.soft_counts import soft_counts
    from segpipe.layers.weighted_loss import WeightedLoss, cross_entropies

    class BceDice(WeightedLoss):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            bce = self.mean_over_pixels(cross_entropies(logits, masks), masks)
            counts = soft_counts(logits, masks)
            is_counted = counts.is_present
            if not options.with_background:
                is_counted[0] = False
            dice = self.mean_over_classes(counts.tversky_losses(0.5, 0.5), is_counted)
            return {"bce": options.bce_weight * bce, "dice": (1 - options.bce_weight) * dice}

    return BceDice(class_weights)
