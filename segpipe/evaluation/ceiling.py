"""The resolution ceiling: what a perfect predictor could score behind a model's own output grid and readout."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from segpipe.layers.segmentation_model import SegmentationModel


def perfect_prediction(model: SegmentationModel, masks: Tensor, num_classes: int) -> Tensor:
    """What is left of masks [B, H, W] at the model's cells, read out as its logits are: to be compared with `truth`."""
    size = (masks.shape[-2], masks.shape[-1])
    is_class = masks.unsqueeze(1) == torch.arange(num_classes, device=masks.device).view(-1, 1, 1)
    areas = _areas(is_class.float(), model.cell_grid(size))  # ignored pixels belong to no class
    return model.readout(areas, size).argmax(1).to(torch.uint8)


def shows_every_pixel(model: SegmentationModel, size: tuple[int, int]) -> bool:
    """Whether each pixel is a cell of its own that is read out as it is: then a perfect prediction is the truth."""
    return model.cell_grid(size) == size and type(model).readout is SegmentationModel.readout


def _areas(is_class: Tensor, grid: tuple[int, int]) -> Tensor:
    """How much of each cell each class covers: [B, C, H, W] -> [B, C, h, w], in whole units, so that ties stay ties."""
    *leading, height, width = is_class.shape
    rows, columns = math.gcd(height, grid[0]), math.gcd(width, grid[1])  # blocks whose borders pixels and cells share
    blocks = is_class.view(*leading, rows, height // rows, columns, width // columns)
    tall = _overlaps(height // rows, grid[0] // rows, is_class)
    wide = _overlaps(width // columns, grid[1] // columns, is_class)
    return torch.einsum("ip,bcrpsq,jq->bcrisj", tall, blocks, wide).flatten(4, 5).flatten(2, 3)


def _overlaps(pixels: int, cells: int, like: Tensor) -> Tensor:
    """The length that each cell shares with each pixel, along a line that is `pixels` times `cells` long."""
    pixel = torch.arange(pixels, device=like.device) * cells
    cell = torch.arange(cells, device=like.device).unsqueeze(1) * pixels
    ends = torch.minimum(cell + pixels, pixel + cells)
    return (ends - torch.maximum(cell, pixel)).clamp(min=0).to(like.dtype)
