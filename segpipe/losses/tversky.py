"""Tversky loss, 1 − TP/(TP + α·FP + β·FN), averaged over the classes in the batch (S3; α = β = 0.5 is Dice).

Our own, because the usual libraries count ignored pixels among the false positives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveFloat

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import nn


class Options(Settings):
    alpha: PositiveFloat = 0.5
    beta: PositiveFloat = 0.5


def build(options: Options, class_names: list[str]) -> nn.Module:
    """The module; soft counts are taken over the whole batch."""
    import torch
    from torch import Tensor, nn

    from segpipe.labels import IGNORE

    class Tversky(nn.Module):
        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            counted = masks != IGNORE
            truth = torch.where(counted, masks, 0).long()
            at_least_fp32 = torch.promote_types(logits.dtype, torch.float32)
            probabilities = logits.softmax(1, dtype=at_least_fp32) * counted.unsqueeze(1)
            of_truth = probabilities.gather(1, truth.unsqueeze(1)).flatten()

            num_classes = len(class_names)
            nothing = probabilities.new_zeros(num_classes)
            hits = nothing.index_add(0, truth.flatten(), of_truth)  # true positives, by class
            predicted = probabilities.sum((0, 2, 3))
            present = nothing.index_add(0, truth.flatten(), counted.flatten().to(hits.dtype))

            missed, wrong = present - hits, predicted - hits
            index = hits / (hits + options.alpha * wrong + options.beta * missed).clamp(min=1e-12)
            is_present = present > 0
            return {"tversky": ((1 - index) * is_present).sum() / is_present.sum().clamp(min=1)}

    return Tversky()
