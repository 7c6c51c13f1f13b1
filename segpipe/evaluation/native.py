"""The images of a split at the size that they came in: raw files, by the pairs that the audit has proven."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segpipe import artifacts
from segpipe.inference.predict import mask_of
from segpipe.inference.test_time import logit_bands
from segpipe.inference.windows import stretched
from segpipe.labels import LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params.schema import Evaluation, ResolvedPrepared
from segpipe.preparation.reading import read_image, read_raw_mask


class NativePairs:
    """Masks by the name of their sample, in class ids; and images, where they are looked at too."""

    def __init__(self, settings: ResolvedPrepared, split: str, *, with_images: bool) -> None:
        self._raw, self._with_images = artifacts.raw(settings.dataset), with_images
        self._labels = LabelTable.from_dict(settings.labels)
        rows = artifacts.read_rows(artifacts.audit(settings.dataset) / "pairs.csv")
        self._pairs = {row["name"]: row for row in rows if (row["view"], row["split"]) == (settings.view, split)}

    def read(self, name: str) -> tuple[np.ndarray | None, np.ndarray]:
        """Image uint8 [H, W, 3] or None, and mask uint8 [H, W]."""
        if name not in self._pairs:
            raise ValueError(
                f"image {name} is not among the audited pairs of its split, of which its prepared set was made. "
                "Make both again: `dvc repro audit preprocess`"
            )
        pair = self._pairs[name]
        mask = self._labels.remap(read_raw_mask(self._raw / pair["mask"], self._labels.encoding), pair["mask"])
        return read_image(self._raw / pair["image"]) if self._with_images else None, mask


def native_prediction(
    model: SegmentationModel, how: Evaluation, logits: Tensor, image: np.ndarray | None, size: tuple[int, ...]
) -> np.ndarray:
    """Class ids uint8 [H, W] of one image: from its logits at training size, or from its own pixels by a window."""
    if how.window is None:
        return mask_of(stretched(logits.float(), (size[0], size[1])), (size[0], size[1]))
    assert image is not None
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0)
    return mask_of(logit_bands(model, pixels, how), (size[0], size[1]))
