"""A model small enough to build by hand: a frozen convolution, behind it a trained one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segpipe.devices import Machine
from segpipe.layers.segmentation_model import SegmentationModel

HERE = Machine(torch.device("cpu"), "fp32")


class TwoConvolutions(SegmentationModel):
    """Counts the images that its backbone saw. A second feature has no rows and columns, as a class token."""

    def __init__(self, classes: int = 2, weights: int = 0, mean: float = 0.5, width: int = 4) -> None:
        super().__init__((mean,) * 3, (0.25,) * 3)
        torch.manual_seed(weights)
        self.backbone = nn.Conv2d(3, width, 3, padding=1)
        torch.manual_seed(7)
        self.classifier = nn.Conv2d(width, classes, 1)
        self.freeze("backbone")
        self.seen = 0
        self.backbone.register_forward_pre_hook(self._count)

    def _count(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.seen += len(inputs[0])

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        (maps,) = super().features(images)
        return maps, maps.mean((2, 3)).unsqueeze(1)

    def head(self, features: tuple[Tensor, ...]) -> Tensor:
        maps, token = features
        logits: Tensor = self.classifier(maps + token.transpose(1, 2).unsqueeze(3))
        return logits
