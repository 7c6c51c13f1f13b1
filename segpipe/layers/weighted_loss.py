"""What the losses share: class weights, and means over the pixels or classes that are there."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from segpipe.labels import IGNORE


class WeightedLoss(nn.Module):
    """A loss that is a weighted mean; where there is nothing to average it is 0, and so is its gradient."""

    class_weights: Tensor

    def __init__(self, class_weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights)

    def mean_over_pixels(self, costs: Tensor, masks: Tensor) -> Tensor:
        """Costs and class ids, both [B, H, W]: the mean in which a pixel weighs what its true class does."""
        by_id = functional.pad(self.class_weights, (0, IGNORE + 1 - len(self.class_weights)))  # ignored: 0
        return _weighted_mean(costs, by_id[masks.long()])

    def mean_over_classes(self, costs: Tensor, is_counted: Tensor) -> Tensor:
        """Costs [C] and whether a class counts [C]: the mean over those that do, each by its weight."""
        return _weighted_mean(costs, self.class_weights * is_counted)


def _weighted_mean(costs: Tensor, weights: Tensor) -> Tensor:
    weights = weights.to(costs.dtype)
    return (costs * weights).sum() / weights.sum().clamp(min=torch.finfo(costs.dtype).tiny)


def cross_entropies(logits: Tensor, masks: Tensor) -> Tensor:
    """Logits [B, C, H, W], class ids [B, H, W] -> −log p of each pixel's true class [B, H, W]; 0 where ignored.

    Pixel by pixel, since torch's own sum over an image adds up in another order each time on CUDA; as a list of pixels,
    which is how they lie where channels come last, and takes a processor two thirds of the time.
    """
    pixels = at_least_fp32(logits).movedim(1, -1).flatten(0, -2)
    costs = functional.cross_entropy(pixels, masks.long().flatten(), ignore_index=IGNORE, reduction="none")
    return costs.view(masks.shape)


def at_least_fp32(logits: Tensor) -> Tensor:
    """Half precision is too coarse to add up in: a bf16 sum stands still at 256 times what is added."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
