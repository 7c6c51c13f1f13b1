"""Masks for images of any size, read out at the size they came in: resized as training saw them, or by a window."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from segpipe.inference.test_time import logit_bands, looking
from segpipe.inference.windows import stretched
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params.schema import Evaluation
from segpipe.preparation.resizing import resized_image

PLAIN = Evaluation()


@torch.inference_mode()
def predict(
    model: SegmentationModel, image: np.ndarray, size: tuple[int, int], interpolation: str, how: Evaluation = PLAIN
) -> np.ndarray:
    """RGB uint8 [H, W, 3] -> class ids uint8 [H, W]; `size` is what the model was trained at.

    The logits are never held for all of a large image.
    """
    if not model.shows_whole_image:
        raise ValueError(
            "this model's readout shows only the centre of an image, and a mask of all of it was expected. "
            "Train it with `readout: resize`"
        )
    full = (image.shape[0], image.shape[1])
    if how.window is not None:
        return mask_of(logit_bands(model, _tensor(image), how), full)
    small = resized_image(image, size, interpolation)
    return mask_of(stretched(looking(model, how)(_tensor(small)), full), full)


def mask_of(bands: Iterable[Tensor], size: tuple[int, int]) -> np.ndarray:
    """Bands of logits [1, C, n, W], from the top -> class ids uint8 [H, W]."""
    mask, top = np.empty(size, np.uint8), 0
    for band in bands:
        ids = band[0].argmax(0).to(torch.uint8).cpu().numpy()
        mask[top : top + len(ids)] = ids
        top += len(ids)
    assert top == size[0]
    return mask


def _tensor(image: np.ndarray) -> Tensor:
    """[H, W, 3] -> [1, 3, H, W]; copied where it must not be written to, or runs backwards, which torch cannot take."""
    own = np.require(image, requirements=["C", "W"])
    return torch.from_numpy(own).permute(2, 0, 1).unsqueeze(0)
