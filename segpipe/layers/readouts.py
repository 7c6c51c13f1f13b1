"""From output cells to pixels and back: smooth up-sampling, centre windows, and the truth that belongs to a window."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Readout = Literal["resize", "crop", "crop_unaligned"]


def enlarged(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, without corner alignment: [B, C, h, w] -> [B, C, H, W], float32 and channels last.

    For a coarse grid two matrix products cost less than `functional.interpolate`, forward and backward, and they add up
    in the same order each time on any device.
    """
    by_row = cells.float().permute(0, 2, 3, 1)  # [B, h, w, C], the order in which the losses read
    with torch.autocast(cells.device.type, enabled=False):  # bf16 cannot hold the weights
        wide = _blend(cells.shape[3], size[1], cells.device) @ by_row  # [B, h, W, C]
        tall = _blend(cells.shape[2], size[0], cells.device) @ wide.flatten(2)  # [B, H, W * C]
    return tall.view(tall.shape[0], *size, -1).permute(0, 3, 1, 2)


def _blend(cells: int, pixels: int, device: torch.device) -> Tensor:
    """The weight of each cell for each pixel, [pixels, cells]: linear between centres, flat beyond the outer ones."""
    # In units of half a pixel of the finer grid: whole numbers, so that only the last division is rounded.
    unit = 2 * pixels
    places = ((2 * torch.arange(pixels, device=device) + 1) * cells - pixels).clamp(0, unit * (cells - 1))
    distances = (places.unsqueeze(1) - unit * torch.arange(cells, device=device)).abs()
    return (1 - distances / unit).clamp(min=0)


def read_out(cells: Tensor, size: tuple[int, int], how: Readout) -> Tensor:
    """Cells at least as fine as pixels [B, C, h, w] -> all pixels, or the cells of the centre window."""
    if how == "resize":
        return functional.interpolate(cells.float(), size, mode="bilinear", align_corners=False)
    rows, columns = (_centre(cells.shape[2], size[0]), _centre(cells.shape[3], size[1]))
    return cells[:, :, rows, columns]


def truth_of(masks: Tensor, grid: tuple[int, int], how: Readout) -> Tensor:
    """What logits that were read out so are to be compared with: [B, H, W] -> the same for the window."""
    if how == "resize":
        return masks
    height, width = masks.shape[1:]
    if how == "crop_unaligned":
        return masks[:, _centre(height, height), _centre(width, width)]
    rows, columns = (_pixels_under(*sides, masks.device) for sides in zip(grid, (height, width), strict=True))
    return masks[:, rows][:, :, columns]


def _centre(length: int, side: int) -> slice:
    """The window in the middle of `length` that an image of this side is read out through: as published, 512 at 518."""
    window = side - 2 * round(side * 3 / 518)
    start = (length - window) // 2
    return slice(start, start + window)


def _pixels_under(cells: int, pixels: int, device: torch.device) -> Tensor:
    """The pixel under the centre of each cell of the window."""
    numbers = torch.arange(cells, device=device)[_centre(cells, pixels)]
    return (2 * numbers + 1) * pixels // (2 * cells)
