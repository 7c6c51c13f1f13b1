"""What a pass over a split adds up to, over its batches and all processes: losses, overlap, time spent waiting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segpipe.confusion import confusion_matrix
from segpipe.metrics import overlap
from segpipe.processes import gathered, summed

AT_ONCE = 16
"""Steps whose losses are asked for together: a device must stop to answer."""

ROWS, SPREAD = 256, 32
"""Class ids fit in a byte; counting on a device is spread, since all pixels of a class want the same counter."""

Refusal = Callable[[int, list[str], dict[str, float]], None]
"""(number of the batch, its images, its values by name): raises, for one of them is no number."""


class Tally:
    """Losses and confusion of a pass; what a device has counted stays there until it is asked for."""

    def __init__(self, split: str, classes: list[str], refuse: Refusal) -> None:
        self._split, self._refuse = split, refuse
        self._images, self._batches = 0, 0
        self._terms: dict[str, float] = {}
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)
        self._counted: Tensor | None = None
        self._unread: list[tuple[int, list[str], dict[str, Tensor]]] = []

    def count(self, logits: Tensor, truth: Tensor, names: list[str]) -> None:
        """Logits [B, C, H, W] and class ids [B, H, W] on the same device: which class is taken for which."""
        predicted = logits.detach().argmax(1).to(torch.uint8)
        if predicted.device.type == "cpu":
            source = ", ".join(names)
            self._confusion += confusion_matrix(truth.numpy(), predicted.numpy(), len(self._confusion), source)
        else:
            counts = counts_on_device(truth, predicted, len(self._confusion))
            self._counted = counts if self._counted is None else self._counted.add_(counts)

    def add(self, terms: dict[str, Tensor], names: list[str], gradient: Tensor | None = None) -> None:
        """A batch's losses by name, and the norm of the gradient that it left."""
        self._batches += 1
        values = {term: value.detach() for term, value in terms.items()}
        if gradient is not None:
            values[GRADIENT] = gradient
        self._unread.append((self._batches, names, values))
        if len(self._unread) == AT_ONCE or next(iter(values.values())).device.type == "cpu":
            self._read()

    def _read(self) -> None:
        """Look at what the last batches cost, and stop at the first one whose values are no numbers."""
        if not self._unread:
            return
        table = torch.stack([torch.stack([*values.values()]) for _, _, values in self._unread]).tolist()
        for (number, names, values), read in zip(self._unread, table, strict=True):
            found = dict(zip(values, read, strict=True))
            if not all(map(math.isfinite, read)):
                self._refuse(number, names, found)
            found.pop(GRADIENT, None)
            self._images += len(names)
            for term, value in found.items():
                self._terms[term] = self._terms.get(term, 0.0) + value * len(names)
        self._unread.clear()

    def so_far(self) -> str:
        """For a progress bar: only what need not be asked for."""
        if not self._images:
            return ""
        loss = f"loss {sum(self._terms.values()) / self._images:.3f}"
        return f"{loss}, mIoU {overlap.overall(self._confusion)['miou']:.3f}" if self._confusion.any() else loss

    def row(self, with_terms: bool) -> dict[str, float]:
        self._read()
        everyones = gathered((self._images, self._terms))
        images = sum(count for count, _ in everyones)
        named = list(dict.fromkeys(term for _, terms in everyones for term in terms))
        means = {term: sum(terms.get(term, 0.0) for _, terms in everyones) / images for term in named}
        scores = overlap.overall(summed(self._confusion + self._from_device()))
        terms = {f"{self._split}_{term}": value for term, value in means.items()} if with_terms else {}
        kept = {f"{self._split}_{metric}": scores[metric] for metric in ("miou", "pixel_accuracy", "mpa")}
        return {f"{self._split}_loss": sum(means.values()), **terms, **kept}

    def _from_device(self) -> np.ndarray:
        if self._counted is None:
            return np.zeros_like(self._confusion)
        counts: np.ndarray = self._counted.cpu().numpy()
        there = np.flatnonzero(counts.any(1)).astype(np.uint8)
        confusion_matrix(there, np.zeros_like(there), len(self._confusion), f"of {self._split}")  # refuses unknown ids
        return counts[: len(self._confusion)]


GRADIENT = "gradient norm"


def counts_on_device(truth: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """Class ids, both [B, H, W] uint8 -> pixel counts [256, C] int64, with the ignored ones; nothing is waited for."""
    counters = ROWS * num_classes
    pair = truth.long() * num_classes + predicted
    pair += counters * (torch.arange(pair.shape[-1], device=pair.device) % SPREAD)
    counts = torch.zeros(SPREAD * counters, dtype=torch.int64, device=pair.device)
    counts.scatter_add_(0, pair.view(-1), counts.new_ones(()).expand(pair.numel()))
    return counts.view(SPREAD, ROWS, num_classes).sum(0)


class Stopwatch:
    """The time that a loop spends waiting for its next item."""

    seconds = 0.0

    def around(self, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            began = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - began
            yield item
