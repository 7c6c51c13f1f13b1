"""Test-time augmentation: the mean of what a model says of an image and of its mirror image, at several sizes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from segpipe.inference.windows import Forward, bands
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params.schema import Evaluation


def is_plain(how: Evaluation) -> bool:
    """Whether an image is only sent through the model, as in training."""
    return how.window is None and not how.flips and how.scales == (1.0,)


def looking(model: SegmentationModel, how: Evaluation) -> Forward:
    """The model, with the flips and scales that are asked for; each is undone before the logits are averaged."""
    if not is_plain(how) and not model.shows_whole_image:
        raise ValueError(
            "this model's readout shows only the centre of an image, and windows, flips and scales need all of it. "
            "Train it with `readout: resize`, or leave them out of `evaluation:`"
        )

    def forward(images: Tensor) -> Tensor:
        device_images = images.to(model.scale.device)
        seen = [
            _seen(model, device_images, scale, is_flipped)
            for scale, is_flipped in product(how.scales, (False, True) if how.flips else (False,))
        ]
        return seen[0] if len(seen) == 1 else torch.stack(seen).mean(0)

    return forward


def logits_of(model: SegmentationModel, images: Tensor, how: Evaluation) -> Tensor:
    """uint8 [B, 3, H, W] -> logits [B, C, H, W]: by window where there is one, else of the image as it is."""
    parts = list(logit_bands(model, images, how))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def logit_bands(model: SegmentationModel, images: Tensor, how: Evaluation) -> Iterable[Tensor]:
    """The same, in bands of rows from the top."""
    forward = looking(model, how)
    if how.window is None:
        return [forward(images)]
    return bands(forward, images, how.window, how.overlap)


def _seen(model: SegmentationModel, images: Tensor, scale: float, is_flipped: bool) -> Tensor:
    """Logits of images [B, 3, H, W] at this scale and side, brought back to their own."""
    size = (images.shape[2], images.shape[3])
    if scale != 1.0:
        images = _resized(images.float(), (round(scale * size[0]), round(scale * size[1])), antialias=True)
    logits: Tensor = model(images.flip(3) if is_flipped else images)
    if is_flipped:
        logits = logits.flip(3)
    return logits if scale == 1.0 else _resized(logits, size)


def _resized(pixels: Tensor, size: tuple[int, int], antialias: bool = False) -> Tensor:
    return functional.interpolate(pixels.float(), size, mode="bilinear", align_corners=False, antialias=antialias)
