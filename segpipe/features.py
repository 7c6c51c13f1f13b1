"""What a model is fed with: images, or the features that its frozen backbone made of them once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from segpipe.devices import Machine
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Batch, Samples, in_order, num_batches, shuffled


class Feed:
    """The batches of some samples for one model, and the logits that it makes of them."""

    def __init__(self, model: SegmentationModel, samples: Samples) -> None:
        self._model, self._samples = model, samples

    def __len__(self) -> int:
        return len(self._samples)

    def num_batches(self, batch: int) -> int:
        return num_batches(self._samples, batch)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every sample once, as it lies."""
        return in_order(self._samples, batch)

    def shuffled(self, batch: int, recipe: str, sampler: str, seed: int, epoch: int) -> Iterator[Batch]:
        """As many samples as there are, chosen and changed as (seed, epoch) and the place in the epoch decide."""
        return shuffled(self._samples, batch, recipe, sampler, seed, epoch)

    def logits(self, batch: Batch) -> Tensor:
        """[B, C, H, W], of a batch that is on the model's device."""
        logits: Tensor = self._model(batch.images)
        return logits


def feed(model: SegmentationModel, samples: Samples, origin: Path, here: Machine, recipe: str = "none") -> Feed:
    """The fastest feed that gives what `recipe` asks for; `origin` is the file that the model was built from."""
    return Feed(model, samples)
