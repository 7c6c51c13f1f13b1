"""What a pass over a split adds up to: losses, overlap, and the time spent waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from segpipe.confusion import confusion_matrix
from segpipe.metrics import overlap


class Tally:
    """Losses and confusion of a pass, added up over its batches."""

    def __init__(self, split: str, classes: list[str]) -> None:
        self._split = split
        self._images = 0
        self._terms: dict[str, float] = {}
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)

    def add(self, terms: dict[str, torch.Tensor], logits: torch.Tensor, truth: torch.Tensor, names: list[str]) -> None:
        self._images += len(names)
        for term, value in terms.items():
            self._terms[term] = self._terms.get(term, 0.0) + value.item() * len(names)
        predicted = logits.detach().argmax(1).to(torch.uint8).cpu().numpy()
        source = ", ".join(names)
        self._confusion += confusion_matrix(truth.numpy(), predicted, len(self._confusion), source)

    def row(self, with_terms: bool) -> dict[str, float]:
        terms = {term: value / self._images for term, value in self._terms.items()}
        scores = overlap.overall(self._confusion)
        named = {f"{self._split}_{term}": value for term, value in terms.items()} if with_terms else {}
        kept = {f"{self._split}_{metric}": scores[metric] for metric in ("miou", "pixel_accuracy", "mpa")}
        return {f"{self._split}_loss": sum(terms.values()), **named, **kept}


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
