"""Two models behind one weight: their class probabilities, averaged."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from segpipe.layers.segmentation_model import SegmentationModel


class WeightedAverage(SegmentationModel):
    """Each member normalises and reads out for itself: cells and pixels are one here."""

    first: SegmentationModel
    second: SegmentationModel

    def __init__(self, first: SegmentationModel, second: SegmentationModel) -> None:
        super().__init__(mean=(0.0,), std=(1.0,))
        self.first, self.second = first, second
        self.balance = nn.Parameter(torch.zeros(()))  # sigmoid(0): half and half

    @property
    def share_of_first(self) -> float:
        return self.balance.sigmoid().item()

    def give_first(self, share: float) -> None:
        """This share of the average to the first member; what is all or nothing becomes so to seven digits."""
        with torch.no_grad():
            self.balance.copy_(torch.tensor(share).logit(eps=1e-7))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, 3, H, W] -> logits [B, C, H, W]: the logarithms of the averaged probabilities."""
        shares = functional.logsigmoid(torch.stack([self.balance, -self.balance]))
        first, second = (member(images).log_softmax(1, dtype=torch.float32) for member in (self.first, self.second))
        return torch.logaddexp(first + shares[0], second + shares[1])
