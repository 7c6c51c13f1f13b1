"""The losses, one file each.

A loss file offers

    Options    its settings: a frozen pydantic model
    build(options, class_weights)    a module: logits [B, C, H, W], class ids [B, H, W] -> its terms by name, to add up;
                                     `class_weights` [C] float32 are ones where nobody asked for others

Every loss is blind to ignored pixels, counts in float32 whatever the logits are, is the same number at each run on the
same machine, and is 0 with gradient 0 where all pixels are ignored.

Class weights mean one thing everywhere. A loss is a weighted mean: over the pixels, each weighing what its true class
does (cross_entropy, focal), or over the classes that are in the batch (tversky, dice, lovasz). So weights that are all
equal change nothing, whatever their size, and a heavier class draws the loss toward what that class alone costs.

At 4x512x1024 pixels and 20 classes, where the logits are 168 MB, each takes less than 0.9 GB more, with the gradient.

A loss that is made of others says of which, `Options.parts()`, so that what was trained with one is trained again when
any of their files changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segpipe import components
from segpipe.params.schema import Component

if TYPE_CHECKING:
    from torch import nn


def built(settings: Component, class_weights: Sequence[float]) -> nn.Module:
    """The loss that an experiment names."""
    import torch

    options = components.options("losses", settings.name, settings.options)
    module: nn.Module = components.find("losses", settings.name).build(options, torch.tensor(class_weights))
    return module
