"""What logits say, and how sure they are of it; and the temperature that is fitted on validation images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segpipe.devices import Machine
from segpipe.evaluation.cost import EIGHT, timed_pass
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples
from segpipe.metrics.calibration import temperature
from segpipe.params.schema import Evaluation

ROWS = 32
"""Of an image whose logits a processor looks at together: few enough to stay in its cache."""

SCORED_FOR_ONE, LEAST_FITTED, PIXELS = 20, 16, 1024
"""A temperature is fitted on one validation image for 20 that are scored, 16 at least, and so many pixels of each."""


def prediction_and_confidences(logits: Tensor, temperatures: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Logits [B, C, H, W] -> class ids uint8 [B, H, W], and their probability at each temperature [T, B, H, W]."""
    images, _, height, width = logits.shape
    predicted = torch.empty((images, height, width), dtype=torch.uint8, device=logits.device)
    confidences = torch.empty((len(temperatures), images, height, width), device=logits.device)
    rows = ROWS if logits.device.type == "cpu" else height
    for top in range(0, height, rows):
        band = slice(top, top + rows)
        some = logits[:, :, band].float()
        best, ids = some.max(1, keepdim=True)  # the first one where several are equal, as argmax has it
        predicted[:, band] = ids[:, 0]
        behind = some - best
        for number, of in enumerate(temperatures):  # softmax, of which only the largest is wanted
            confidences[number, :, band] = (behind / of).exp_().sum(1).reciprocal()
    return predicted.cpu().numpy(), confidences.cpu().numpy()


class Fit(NamedTuple):
    temperature: float
    of_eight: list[float]
    """The latency of each of its passes, of eight images: cost.json wants some, and here they are made anyway."""


@torch.inference_mode()
def fitted(model: SegmentationModel, samples: Samples, how: Evaluation, here: Machine, scored: int) -> Fit:
    """The temperature from some of the samples, evenly spread, for a split of so many scored images."""
    count = min(len(samples), max(LEAST_FITTED, scored // SCORED_FOR_ONE))
    chosen = [number * len(samples) // count for number in range(count)]
    logits, truth, of_eight = [], [], []
    for start in range(0, count, EIGHT):
        indices = chosen[start : start + EIGHT]
        values, classes, latency = _pixels(model, samples, indices, how, here)
        logits.append(values)
        truth.append(classes)
        of_eight += [latency] * (len(indices) == EIGHT)
    return Fit(temperature(np.concatenate(logits), np.concatenate(truth)), of_eight)


def _pixels(
    model: SegmentationModel, samples: Samples, indices: list[int], how: Evaluation, here: Machine
) -> tuple[np.ndarray, np.ndarray, float]:
    """Logits [N, C] and true classes [N] of pixels at random places, the ignored ones left out; and the latency."""
    images, masks = (torch.from_numpy(np.stack(parts)) for parts in zip(*(samples[i] for i in indices), strict=True))
    logits, latency = timed_pass(model, images.permute(0, 3, 1, 2).to(here.device), how, here)
    truth = model.truth(masks).flatten(1)
    drawn = np.random.default_rng(indices).integers(0, truth.shape[1], (len(indices), PIXELS))
    places = torch.from_numpy(drawn)
    classes = truth.gather(1, places).flatten().numpy()
    at_places = places.to(here.device).unsqueeze(1).expand(-1, logits.shape[1], -1)
    values = logits.flatten(2).gather(2, at_places).permute(0, 2, 1).flatten(0, 1).float().cpu().numpy()
    is_known = classes < logits.shape[1]
    return values[is_known], classes[is_known], latency
