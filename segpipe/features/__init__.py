"""What a model is fed with: images, or the features that its frozen backbone made of them once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from segpipe import processes
from segpipe.devices import Machine
from segpipe.features.kept import WAYS, FeatureSamples, kept
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Batch, Samples, in_order, num_batches, shuffled


class Feed:
    """The batches of some samples for one model, and the logits that it makes of them.

    Of several processes each gets its part of every batch.
    """

    def __init__(self, model: SegmentationModel, samples: Samples) -> None:
        self._model, self._samples = model, samples

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def key(self) -> str | None:
        """What the kept features are, to the last bit; None where images are fed. A resume needs the same ones."""
        return self._samples.key if isinstance(self._samples, FeatureSamples) else None

    def num_batches(self, batch: int) -> int:
        return num_batches(self._samples, batch)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every sample once, as it lies."""
        return in_order(self._samples, batch, _share())

    def shuffled(self, batch: int, recipe: str, sampler: str, seed: int, epoch: int) -> Iterator[Batch]:
        """As many samples as there are, chosen and changed as (seed, epoch) and the place in the epoch decide."""
        return shuffled(self._samples, batch, recipe, sampler, seed, epoch, _share())

    def logits(self, batch: Batch) -> Tensor:
        """[B, C, H, W], of a batch that is on the model's device."""
        if batch.features:
            return self._model.from_features(batch.features, (batch.masks.shape[1], batch.masks.shape[2]))
        logits: Tensor = self._model(batch.images)
        return logits


def feed(model: SegmentationModel, samples: Samples, origin: Path, here: Machine, recipe: str = "none") -> Feed:
    """The fastest feed that gives what `recipe` asks for; `origin` is the file that the model was built from."""
    if recipe not in WAYS or not model.has_fixed_features:
        return Feed(model, samples)
    return Feed(model, kept(model, samples, f"{origin.stem}, {samples.split}", here, recipe) or samples)


def _share() -> tuple[int, int]:
    place = processes.place()
    return place.rank, place.count
