"""What colour alone reaches: the mIoU of a table from colours to classes. A model must see more than that."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segpipe.confusion import confusion_matrix
from segpipe.labels import IGNORE
from segpipe.loading import Samples
from segpipe.metrics import overlap

LEVELS = 16
"""Of each channel: 4,096 colours."""

SIDE = 128
"""Larger images are looked at in steps, so that about this many pixels of a side are counted."""


def colour_alone(train: Samples, scored: Samples, num_classes: int) -> float:
    """The mIoU on the scored images of a table fitted on the training images; the better of two such tables."""
    votes = np.zeros((LEVELS**3, num_classes), np.int64)
    for colors, mask in _looked_at(train):
        counted = mask != IGNORE
        np.add.at(votes, (colors[counted], mask[counted]), 1)
    # The likeliest class of a colour; and the class whose pixels have it most often, which is kinder to rare classes.
    shares = votes / np.maximum(votes.sum(0), 1)
    tables = [table.argmax(1).astype(np.uint8) for table in (votes, shares)]
    confusions = np.zeros((2, num_classes, num_classes), np.int64)
    for colors, mask in _looked_at(scored):
        confusions += [confusion_matrix(mask, table[colors], num_classes) for table in tables]
    return max(overlap.overall(confusion)["miou"] for confusion in confusions)


def _looked_at(samples: Samples) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each image as numbers of colours, with its mask."""
    step = max(1, min(samples.size) // SIDE)
    for index in range(len(samples)):
        image, mask = (pixels[::step, ::step] for pixels in samples[index])
        red, green, blue = np.moveaxis(image.astype(np.int64) * LEVELS // 256, -1, 0)
        yield (red * LEVELS + green) * LEVELS + blue, mask
