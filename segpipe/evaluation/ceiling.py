"""The resolution ceiling: what a perfect predictor could score behind a model's own output grid and readout."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from segpipe.labels import IGNORE
from segpipe.layers.segmentation_model import SegmentationModel


def perfect_prediction(model: SegmentationModel, masks: Tensor, num_classes: int) -> Tensor:
    """Masks [B, H, W] -> what is left of them at the model's output cells, read out as its logits are: [B, H, W]."""
    stride = model.output_stride
    one_hot = functional.one_hot(torch.where(masks == IGNORE, num_classes, masks).long(), num_classes + 1)
    shares = one_hot[..., :num_classes].permute(0, 3, 1, 2).float()  # [B, C, H, W]
    cells = functional.avg_pool2d(shares, stride, ceil_mode=True) if stride > 1 else shares
    size = (masks.shape[-2], masks.shape[-1])
    return model.readout(cells, size).argmax(1).to(torch.uint8)
