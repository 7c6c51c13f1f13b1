"""Images of any size through a window of one size: windows overlap, and where they do their logits are blended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

Forward = Callable[[Tensor], Tensor]
"""Images uint8 [B, 3, H, W], wherever they lie -> logits [B, C, H, W], on the model's device."""


def starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side that is no shorter; neighbours share `overlap`, the last ends with the image.

    In equal steps, so that windows begin where cells of the model do, if a step and the image are whole cells.
    """
    last = length - window
    return [*range(0, last, max(1, int(window * (1 - overlap)))), last]


def bands(forward: Forward, images: Tensor, window: tuple[int, int], overlap: float) -> Iterator[Tensor]:
    """Images [B, 3, H, W] -> their logits in bands of whole rows, from the top: [B, C, n, W] each.

    Never more is held than the rows of one window. An image smaller than a window goes on as its last pixels are.
    """
    height, width = images.shape[2:]
    padded_height, padded_width = max(height, window[0]), max(width, window[1])
    tops, lefts = starts(padded_height, window[0], overlap), starts(padded_width, window[1], overlap)
    down, across = _weights(window[0]), _weights(window[1])
    all_down, all_across = _sums(padded_height, tops, down), _sums(padded_width, lefts, across)
    held = torch.empty(0)
    for top, following in zip(tops, [*tops[1:], padded_height], strict=True):
        for left in lefts:
            logits = forward(_cut(images, top, left, window)).float()
            if not held.numel():
                held = logits.new_zeros((*logits.shape[:2], window[0], padded_width))
            weights = (down.unsqueeze(1) * across).to(logits.device)
            held[..., left : left + window[1]] += logits * weights
        done = following - top
        divisor = all_down[top:following].unsqueeze(1) * all_across
        yield (held[:, :, :done] / divisor.to(held.device))[:, :, : max(0, height - top), :width]
        held = torch.cat([held[:, :, done:], torch.zeros_like(held[:, :, :done])], 2)


def _weights(length: int) -> Tensor:
    """How much each row of a window counts: most in the middle, and the less the nearer its edge, but never nothing."""
    places = torch.arange(length)
    return torch.minimum(places + 1, length - places).float() / ((length + 1) // 2)


def _sums(length: int, begins: list[int], weights: Tensor) -> Tensor:
    """What the weights of all windows add up to, along one side."""
    total = torch.zeros(length)
    for begin in begins:
        total[begin : begin + len(weights)] += weights
    return total


def _cut(images: Tensor, top: int, left: int, window: tuple[int, int]) -> Tensor:
    cut = images[:, :, top : top + window[0], left : left + window[1]]
    if cut.shape[2:] == window:
        return cut
    rows, columns = (
        torch.arange(full, device=cut.device).clamp(max=there - 1)
        for full, there in zip(window, cut.shape[2:], strict=True)
    )
    return cut[:, :, rows][..., columns]


def stretched(logits: Tensor, size: tuple[int, int], rows: int = 256) -> Iterator[Tensor]:
    """Logits [B, C, h, w] -> [B, C, H, W], bilinear, in bands of so many rows: never held whole."""
    if size == tuple(logits.shape[2:]):
        yield logits
        return
    height = logits.shape[2]
    places = ((torch.arange(size[0], device=logits.device) + 0.5) * height / size[0] - 0.5).clamp(0, height - 1)
    upper = places.floor().long()
    lower, shares = (upper + 1).clamp(max=height - 1), (places - upper).unsqueeze(1)
    for top in range(0, size[0], rows):
        band = slice(top, top + rows)
        tall = torch.lerp(logits[:, :, upper[band]], logits[:, :, lower[band]], shares[band].to(logits.dtype))
        yield functional.interpolate(tall, (tall.shape[2], size[1]), mode="bilinear", align_corners=False)
