"""True positives and their like, counted in probabilities instead of pixels: what the overlap losses are made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from segpipe.labels import IGNORE
from segpipe.layers.weighted_loss import at_least_fp32


class SoftCounts(NamedTuple):
    """Sums over the pixels of a batch that are not ignored, by class: each [C]."""

    hits: Tensor
    predicted: Tensor
    true: Tensor

    @property
    def is_present(self) -> Tensor:
        """Whether any pixel is truly of the class: [C]."""
        return self.true > 0

    def tversky_losses(self, alpha: float, beta: float) -> Tensor:
        """1 − TP/(TP + α·FP + β·FN) of each class: [C]."""
        wrong, missed = self.predicted - self.hits, self.true - self.hits
        possible = self.hits + alpha * wrong + beta * missed
        return 1 - self.hits / possible.clamp(min=torch.finfo(possible.dtype).tiny)


def soft_counts(logits: Tensor, masks: Tensor) -> SoftCounts:
    """Logits [B, C, H, W], class ids [B, H, W] -> counts by class, the same at each run: nothing is scattered."""
    probabilities = at_least_fp32(logits).softmax(1)
    ids = torch.arange(logits.shape[1], dtype=masks.dtype, device=masks.device).view(1, -1, 1, 1)
    truth = masks.unsqueeze(1)
    is_true, is_counted = truth == ids, truth != IGNORE  # [B, C, H, W], [B, 1, H, W]
    over_pixels = (0, 2, 3)
    return SoftCounts(
        hits=(probabilities * is_true).sum(over_pixels),
        predicted=(probabilities * is_counted).sum(over_pixels),
        true=is_true.sum(over_pixels),
    )
