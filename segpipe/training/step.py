"""What one batch does to the weights: its gradient, in parts and on all devices, and a step along it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from segpipe.devices import Machine
from segpipe.labels import IGNORE
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Batch
from segpipe.params.schema import Trained
from segpipe.processes import add_up, place
from segpipe.training.moving_average import MovingAverage
from segpipe.training.tally import Tally

LEAST_SCALE = 1.0
"""fp16 gradients are scaled up before they are rounded; where they must be made smaller, they are no numbers."""


class Step:
    """The model's loss, its gradient, and the optimizer that follows it."""

    def __init__(
        self,
        model: SegmentationModel,
        loss: nn.Module,
        class_weights: list[float],
        optimizer: torch.optim.Optimizer,
        settings: Trained,
        here: Machine,
    ) -> None:
        self.model, self.loss, self.optimizer, self._here = model, loss, optimizer, here
        self._accumulate, self._clip = settings.accumulate, settings.clip
        self.average = MovingAverage(model, settings.ema) if settings.ema else None
        self.scaler = torch.amp.GradScaler(here.device.type, enabled=here.precision == "fp16")
        self._weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        self._terms: list[str] = []
        self._nothing = torch.zeros((), device=here.device)
        by_class = torch.tensor(class_weights, device=here.device)
        self._weight_of_id = functional.pad(by_class, (0, IGNORE + 1 - len(class_weights)))  # ignored: 0

    def take(self, batch: Batch, logits_of: Callable[[Batch], Tensor], tally: Tally) -> None:
        """One step for a batch, of which every process has its own part."""
        parts = [part for part in cut(batch, self._accumulate) if part.names]
        self.optimizer.zero_grad(set_to_none=True)
        terms = dict.fromkeys(self._terms, self._nothing)
        for part, share in zip(parts, self._shares(parts), strict=True):
            for term, value in self._backward(part, share, logits_of, tally).items():
                terms[term] = terms.get(term, self._nothing) + value
        self._terms = list(terms)  # for a process that a last, small batch leaves without an image
        terms = self._add_up(terms)
        tally.add(terms, batch.names, self._follow())

    def _backward(
        self, part: Batch, share: Tensor | None, logits_of: Callable[[Batch], Tensor], tally: Tally
    ) -> dict[str, Tensor]:
        """Add this part's gradient to what is there already; its losses, weighted by its share of the batch."""
        on_device = part.to(self._here.device)
        with self._here.autocast():
            logits = logits_of(on_device)
        truth = self.model.truth(on_device.masks)
        terms: dict[str, Tensor] = self.loss(logits, truth)
        if share is not None:
            terms = {term: value * share for term, value in terms.items()}
        torch.autograd.backward(self.scaler.scale(torch.stack([*terms.values()]).sum()))
        tally.count(logits, truth, part.names)
        return {term: value.detach() for term, value in terms.items()}

    def _shares(self, parts: list[Batch]) -> list[Tensor | None]:
        """What each part weighs in the batch: as much as its pixels that count, each by the weight of its class.

        So a mean over pixels is the whole batch's; one over classes is the mean of the parts' own.
        """
        if place().count == self._accumulate == 1:
            return [None]
        masks = [self.model.truth(part.masks.to(self._here.device)) for part in parts]
        weights = [self._weight_of_id[each.long()].sum() for each in masks]
        total = torch.stack([*weights, self._nothing]).sum()
        add_up([total])
        return [weight / total.clamp(min=torch.finfo(total.dtype).tiny) for weight in weights]

    def _add_up(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The gradient, and the losses, over all processes, of which some may have had no image."""
        if place().count == 1:
            return terms
        total = {term: value.clone() for term, value in terms.items()}
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        add_up([*(weight.grad for weight in self._weights), *total.values()])
        return total

    def _follow(self) -> Tensor | None:
        """The gradient's norm, unless steps that are too large for fp16 are skipped anyway."""
        self.scaler.unscale_(self.optimizer)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        norm = get_total_norm(gradients)
        if self._clip is not None:
            clip_grads_with_norm_(self._weights, self._clip, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update()
        return None if self.scaler.is_enabled() else norm

    def agree(self) -> None:
        """Statistics of the batches that each process saw become their mean over all processes."""
        if place().count > 1:
            trained = self.model.trained_state().keys()
            kept = [
                value for name, value in self.model.named_buffers() if name in trained and value.is_floating_point()
            ]
            add_up(kept)
            for value in kept:
                value /= place().count


def cut(batch: Batch, parts: int) -> Iterator[Batch]:
    """A batch in so many parts of almost equal size."""
    ends = [len(batch.names) * number // parts for number in range(parts + 1)]
    for start, end in pairwise(ends):
        images, masks, *features = (tensor[start:end] for tensor in (batch.images, batch.masks, *batch.features))
        yield replace(batch, images=images, masks=masks, names=batch.names[start:end], features=tuple(features))
