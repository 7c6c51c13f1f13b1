"""Lovász-softmax loss (Berman et al., CVPR 2018): 1 − IoU made continuous, the mean over the classes in the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Settings):
    """None: the errors of a class are sorted over the whole batch."""


def build(_options: Options, class_weights: Tensor) -> nn.Module:
    """The module; our own, since smp's knows no class weights, and has no number for a batch of ignored pixels."""
    import torch

    from segpipe.labels import IGNORE
    from segpipe.layers.lovasz_extension import lovasz_extension
    from segpipe.layers.weighted_loss import WeightedLoss, at_least_fp32

    class Lovasz(WeightedLoss):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            is_counted, costs, are_present = masks != IGNORE, [], []
            for class_id, claimed in enumerate(at_least_fp32(logits).softmax(1).unbind(1)):
                is_true = masks == class_id
                errors = torch.where(is_true, 1 - claimed, claimed) * is_counted
                costs.append(lovasz_extension(errors.flatten(), is_true.flatten()))
                are_present.append(is_true.any())
            return {"lovasz": self.mean_over_classes(torch.stack(costs), torch.stack(are_present))}

    return Lovasz(class_weights)
