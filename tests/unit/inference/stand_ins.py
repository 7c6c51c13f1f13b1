"""Small models that stand for real ones, and truth painted as an image that they can read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segpipe.confusion import confusion_matrix
from segpipe.layers.readouts import enlarged
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.metrics import overlap

CLASSES = 5


class Random(SegmentationModel):
    def __init__(self) -> None:
        super().__init__((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 3, padding=1))

    def cell_logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


class BySixteenths(SegmentationModel):
    """Reads the class out of the red channel, ten levels to a class, by cells of 4x4 pixels, and enlarges its cells.

    A model that is always right: what is wrong behind it was moved on the way.
    """

    output_stride = 4

    def __init__(self) -> None:
        super().__init__((0.0,) * 3, (1 / 255,) * 3)

    def cell_logits(self, images: Tensor) -> Tensor:
        cells = nn.functional.avg_pool2d(images[:, :1], 4) / 10
        return -(cells - torch.arange(CLASSES).view(1, -1, 1, 1)).abs()

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        # Of the likeliest class, so that up-sampling blends classes and not levels of red.
        one_hot = nn.functional.one_hot(cell_logits.argmax(1), CLASSES).permute(0, 3, 1, 2).float()
        return enlarged(one_hot, size)


def stripes(size: tuple[int, int], wide: int, is_upright: bool) -> Tensor:
    """Class ids [H, W] in stripes, each of another class than its neighbour."""
    places = torch.arange(size[1] if is_upright else size[0]) // wide % CLASSES
    return places.expand(*size) if is_upright else places.unsqueeze(1).expand(*size)


def painted(ids: Tensor) -> Tensor:
    """Class ids [H, W] -> the image that `BySixteenths` reads them from: uint8 [1, 3, H, W]."""
    return (ids * 10).byte().expand(1, 3, *ids.shape)


def miou(truth: Tensor, predicted: Tensor) -> float:
    confusion = confusion_matrix(truth.byte().numpy(), predicted.byte().numpy(), CLASSES)
    return overlap.overall(confusion)["miou"]
