"""Counts everything that a score stands on, image by image, while the device is busy with the next ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from segpipe.confusion import confusion_matrix
from segpipe.devices import Machine
from segpipe.evaluation.ceiling import perfect_prediction, shows_every_pixel
from segpipe.evaluation.confidence import prediction_and_confidences
from segpipe.evaluation.native import NativePairs, native_prediction
from segpipe.features import Feed
from segpipe.inference.test_time import logits_of
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Batch
from segpipe.metrics.boundary import boundary_counts
from segpipe.metrics.calibration import reliability
from segpipe.metrics.sizes import size_counts
from segpipe.params.schema import Evaluation
from segpipe.processes import gathered, place
from segpipe.terminal import progress

Pair = tuple[np.ndarray, np.ndarray]

AHEAD = 2
"""Batches whose images are still being counted while the device has the next one."""


@dataclass(frozen=True)
class Scored:
    """What was counted of one image: pixels, but for the loss."""

    name: str
    loss: float
    confusion: np.ndarray
    ceiling: np.ndarray
    """[C, C], of a perfect predictor behind the model's own readout."""
    boundary: np.ndarray
    sizes: np.ndarray
    reliability: np.ndarray
    """[2, 3, bins]: as the model is, and with the fitted temperature."""
    native: Pair | None
    """Confusion and boundary at the size that the image came in."""


@dataclass(frozen=True)
class Scorer:
    """A model, and how it is scored."""

    model: SegmentationModel
    num_classes: int
    how: Evaluation
    here: Machine
    loss: nn.Module
    temperature: float
    native: NativePairs | None

    def stream(self, feed: Feed, batch: int, threads: int) -> Iterator[tuple[Scored, np.ndarray]]:
        """Each image of this process's share, in order, with its prediction [H, W]."""
        with ThreadPoolExecutor(threads, "counting") as pool:
            counted: deque[Future[tuple[Scored, np.ndarray]]] = deque()
            batches = feed.in_order(batch)
            if place().is_first:
                batches = progress(batches, "evaluate", feed.num_batches(batch))
            for one in batches:
                while len(counted) > AHEAD * batch:
                    yield counted.popleft().result()
                counted.extend(self._begun(one, feed, pool))
            while counted:
                yield counted.popleft().result()

    @torch.inference_mode()
    def _begun(self, batch: Batch, feed: Feed, pool: ThreadPoolExecutor) -> list[Future[tuple[Scored, np.ndarray]]]:
        """What the device makes of a batch, and the counting of it, begun."""
        files = [pool.submit(self.native.read, name) for name in batch.names] if self.native else []
        on_device = batch.to(self.here.device)
        with self.here.autocast():
            logits = scored_logits(self.model, on_device, feed, self.how)
        predicted, confidences = prediction_and_confidences(logits, (1.0, self.temperature))
        perfect = self._perfect(on_device.masks)
        masks, truths = self.model.truth(on_device.masks), self.model.truth(batch.masks).numpy()
        begun = []
        for i, name in enumerate(batch.names):
            one = slice(i, i + 1)
            loss = sum(term.item() for term in self.loss(logits[one], masks[one]).values())
            native = self._natively(logits[one], *files[i].result()) if files else None
            seen = _Seen(name, loss, truths[i], predicted[i], confidences[:, i], perfect[i], native)
            begun.append(pool.submit(self._counted, seen))
        return begun

    def _perfect(self, masks: Tensor) -> Sequence[np.ndarray | None]:
        """What a perfect predictor would show; None where that is the truth itself."""
        if shows_every_pixel(self.model, (masks.shape[1], masks.shape[2])):
            return [None] * len(masks)
        return list(perfect_prediction(self.model, masks, self.num_classes).cpu().numpy())

    def _natively(self, logits: Tensor, image: np.ndarray | None, truth: np.ndarray) -> Pair:
        """Truth and prediction at the image's own size, from the same logits; or by a window, from its own pixels."""
        with self.here.autocast():
            return truth, native_prediction(self.model, self.how, logits, image, truth.shape)

    def _counted(self, seen: _Seen) -> tuple[Scored, np.ndarray]:
        truth, predicted, name = seen.truth, seen.predicted, seen.name
        confusion, boundary = self._confusion_and_boundary(truth, predicted, name)
        perfect = None if seen.perfect is None else confusion_matrix(truth, seen.perfect, self.num_classes, name)
        is_known, is_right = truth < self.num_classes, truth == predicted
        scored = Scored(
            name=name,
            loss=seen.loss,
            confusion=confusion,
            ceiling=np.diag(confusion.sum(1)) if perfect is None else perfect,
            boundary=boundary,
            sizes=size_counts(truth, predicted, self.num_classes),
            reliability=np.stack([reliability(each[is_known], is_right[is_known]) for each in seen.confidences]),
            native=self._confusion_and_boundary(*seen.native, name) if seen.native else None,
        )
        return scored, predicted

    def _confusion_and_boundary(self, truth: np.ndarray, predicted: np.ndarray, name: str) -> Pair:
        counts = boundary_counts(truth, predicted, self.num_classes, self.how.boundary)
        return confusion_matrix(truth, predicted, self.num_classes, name), counts


def scored_logits(model: SegmentationModel, batch: Batch, feed: Feed, how: Evaluation) -> Tensor:
    """[B, C, H, W], of a batch on the model's device: of its features, where the feed has some."""
    return feed.logits(batch) if batch.features else logits_of(model, batch.images, how)


@dataclass(frozen=True)
class _Seen:
    """One image, as it waits to be counted."""

    name: str
    loss: float
    truth: np.ndarray
    predicted: np.ndarray
    confidences: np.ndarray
    perfect: np.ndarray | None
    native: Pair | None


def in_order_of(names: list[str], own: Iterator[Scored], at_once: int) -> Iterator[Scored]:
    """Every process's images as they lie in the samples, for the first process; the others give theirs and get none.

    So all is added up in one order, and floats round alike, however many processes there are.
    """
    waiting: dict[str, Scored] = {}
    for name in names:
        while name not in waiting:
            shares = gathered(list(islice(own, at_once)))
            assert any(shares), f"{name} was scored by no process"
            waiting |= {one.name: one for share in shares for one in share}
        scored = waiting.pop(name)
        if place().is_first:
            yield scored
    deque(own, 0)  # it ends what it began
