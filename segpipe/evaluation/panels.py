"""The five best and five worst predictions, as pictures beside their truth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from segpipe import artifacts
from segpipe.labels import IGNORE, LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples

SHOWN = 5


@dataclass(frozen=True)
class Candidate:
    """An image, its score and its prediction [H, W]."""

    name: str
    miou: float
    prediction: np.ndarray


@dataclass
class Extremes:
    """The best and the worst of what has come by, best first in both; images without a score are left out."""

    best: list[Candidate] = field(default_factory=list)
    worst: list[Candidate] = field(default_factory=list)

    def add(self, candidates: Iterable[Candidate]) -> None:
        for one in candidates:
            if not math.isnan(one.miou):
                self.best = _ranked([*self.best, one])[:SHOWN]
                self.worst = _ranked([*self.worst, one])[-SHOWN:]

    def join(self, others: Iterable[Extremes]) -> None:
        """What other processes found, or this one once more."""
        for other in others:
            self.add([*other.best, *other.worst])

    @property
    def shown(self) -> list[tuple[str, int, Candidate]]:
        """Kind, rank from 1, and image; none is shown as both."""
        best_names = {one.name for one in self.best}
        worst = [one for one in reversed(self.worst) if one.name not in best_names]
        kinds = (("best", self.best), ("worst", worst))
        return [(kind, rank, one) for kind, ones in kinds for rank, one in enumerate(ones, 1)]


def _ranked(candidates: list[Candidate]) -> list[Candidate]:
    unique = {one.name: one for one in candidates}
    return sorted(unique.values(), key=lambda one: (-one.miou, one.name))


def write_panels(
    folder: Path, model: SegmentationModel, samples: Samples, extremes: Extremes, labels: LabelTable
) -> None:
    """panels.json and the files that it names."""
    (folder / "panels").mkdir()
    panels = []
    for kind, rank, shown in extremes.shown:
        image, truth = samples[samples.names.index(shown.name)]
        pictures = {
            "input": image,
            "truth": model.truth(torch.from_numpy(np.array(truth))[None])[0].numpy(),
            "prediction": shown.prediction,
        }
        files = {part: f"panels/{kind}-{rank}-{part}.png" for part in pictures}
        for part, pixels in pictures.items():
            _write(folder / files[part], pixels, labels)
        panels.append({"kind": kind, "rank": rank, "image": shown.name, "miou": shown.miou, **files})
    artifacts.write_json(folder / "panels.json", panels)


def _write(path: Path, pixels: np.ndarray, labels: LabelTable) -> None:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.ndim == 2:
        colors = np.full((256, 3), 255, np.uint8)  # IGNORE is white
        colors[: len(labels.classes)] = labels.colors
        assert len(labels.classes) <= IGNORE
        picture.putpalette(colors.tobytes())
    picture.save(path, optimize=False)
