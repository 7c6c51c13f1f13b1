"""The five best and five worst predictions, as pictures beside their truth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from segpipe import artifacts
from segpipe.devices import Machine
from segpipe.labels import IGNORE, LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples

SHOWN = 5


def write_panels(
    folder: Path,
    model: SegmentationModel,
    samples: Samples,
    scores: dict[str, float],
    labels: LabelTable,
    here: Machine,
) -> None:
    """panels.json and the files that it names; images without a score are left out."""
    ranked = sorted((name for name in scores if not math.isnan(scores[name])), key=lambda name: (-scores[name], name))
    best = ranked[:SHOWN]
    worst = [name for name in reversed(ranked) if name not in best][:SHOWN]
    (folder / "panels").mkdir()
    panels = []
    for kind, names in (("best", best), ("worst", worst)):
        for rank, name in enumerate(names, 1):
            image, truth = samples[samples.names.index(name)]
            pictures = {
                "input": image,
                "truth": model.truth(torch.from_numpy(np.array(truth))[None])[0].numpy(),
                "prediction": _prediction(model, image, here),
            }
            files = {part: f"panels/{kind}-{rank}-{part}.png" for part in pictures}
            for part, pixels in pictures.items():
                _write(folder / files[part], pixels, labels)
            panels.append({"kind": kind, "rank": rank, "image": name, "miou": scores[name], **files})
    artifacts.write_json(folder / "panels.json", panels)


@torch.inference_mode()
def _prediction(model: SegmentationModel, image: np.ndarray, here: Machine) -> np.ndarray:
    with here.autocast():
        logits = model(torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0).to(here.device))
    mask: np.ndarray = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask


def _write(path: Path, pixels: np.ndarray, labels: LabelTable) -> None:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.ndim == 2:
        colors = np.full((256, 3), 255, np.uint8)  # IGNORE is white
        colors[: len(labels.classes)] = labels.colors
        assert len(labels.classes) <= IGNORE
        picture.putpalette(colors.tobytes())
    picture.save(path, optimize=False)
