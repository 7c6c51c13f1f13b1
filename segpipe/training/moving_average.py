"""The moving average of the weights over the steps, which is validated and exported instead of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from segpipe.layers.segmentation_model import SegmentationModel


class MovingAverage:
    """Of what is trained; statistics that are no weights are taken as the model has them."""

    def __init__(self, model: SegmentationModel, decay: float) -> None:
        self._trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self._averages = [value.detach().clone() for value in self._trained.values()]
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self) -> None:
        """After a step: each average = decay × itself + (1 − decay) × the weight."""
        self._average(self._averages, [value.detach() for value in self._trained.values()], None)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averages for its weights, for a while."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for place, value in enumerate(self._trained.values()):
            value.data, self._averages[place] = self._averages[place], value.data

    def state(self) -> dict[str, Tensor]:
        return dict(zip(self._trained, self._averages, strict=True))

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` gave."""
        for name, average in self.state().items():
            average.copy_(state[name])
