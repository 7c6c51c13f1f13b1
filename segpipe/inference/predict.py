"""Masks for images of any size: resized as training saw them, and read out at the size they came in."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.preparation.resizing import resized_image


@torch.inference_mode()
def predict(model: SegmentationModel, image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """RGB uint8 [H, W, 3] -> class ids uint8 [H, W]; `size` is what the model was trained at."""
    if not model.shows_whole_image:
        raise ValueError(
            "this model's readout shows only the centre of an image, and a mask of all of it was expected. "
            "Train it with `readout: resize`"
        )
    small = np.array(resized_image(image, size, interpolation))  # a copy: torch wants to own what it reads
    logits = model(torch.from_numpy(small).permute(2, 0, 1).unsqueeze(0))
    if size != image.shape[:2]:
        logits = functional.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)
    mask: np.ndarray = logits[0].argmax(0).to(torch.uint8).numpy()
    return mask
