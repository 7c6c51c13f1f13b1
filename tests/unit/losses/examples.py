"""Small batches for the losses, and what a slow count in float64 makes of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def example(num_classes: int, ignored: float = 0.3, size: tuple[int, int] = (6, 7)) -> tuple[Tensor, Tensor]:
    """Logits and masks of two images; a share of the pixels is ignored, and every class is there."""
    generator = torch.Generator().manual_seed(num_classes)
    logits = 2 * torch.randn(2, num_classes, *size, generator=generator)
    masks = torch.randint(0, num_classes, (2, *size), generator=generator, dtype=torch.uint8)
    masks[torch.rand(2, *size, generator=generator) < ignored] = 255
    assert set(masks[masks != 255].tolist()) == set(range(num_classes))
    return logits, masks


def counted_pixels(logits: Tensor, masks: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [N, C] and truth [N] of the pixels that are not ignored."""
    scores = np.exp(logits.double().numpy())
    shares = np.moveaxis(scores / scores.sum(1, keepdims=True), 1, -1)
    is_counted = masks.numpy() != 255
    return shares[is_counted], masks.numpy()[is_counted]


def difference(logits: Tensor) -> Tensor:
    """Two classes as libraries with a binary mode want them: one logit [B, 1, H, W]."""
    return logits[:, 1:] - logits[:, :1]
