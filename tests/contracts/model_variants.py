"""Every model under each of its settings, built small, with images that it takes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from segpipe import components
from segpipe.layers.encoders import EncoderWeights
from segpipe.layers.segmentation_model import SegmentationModel
from tests.contracts.variants import SETTINGS

EncoderOf = Callable[[str], EncoderWeights]

_LATEST: dict[str, SegmentationModel] = {}
"""The model of the test before, as it was built: most tests ask for the same one, and a copy costs a tenth."""


class Variant(NamedTuple):
    """A model with the settings that a contract is tried under."""

    name: str
    settings: dict[str, Any]

    def build(self, encoder_of: EncoderOf, num_classes: int = 2, seed: int = 0) -> SegmentationModel:
        """A model of the test's own."""
        if (num_classes, seed) != (2, 0):
            return self._built(encoder_of, num_classes, seed)
        if str(self) not in _LATEST:
            _LATEST.clear()
            _LATEST[str(self)] = self._built(encoder_of, num_classes, seed)
        return copy.deepcopy(_LATEST[str(self)])

    def _built(self, encoder_of: EncoderOf, num_classes: int, seed: int) -> SegmentationModel:
        module = components.find("models", self.name)
        options = components.options("models", self.name, self.settings)
        torch.manual_seed(seed)
        if self.stands_on_members:
            members = tuple(MEMBER._built(encoder_of, num_classes, seed + i) for i in (0, 1))
            return module.build(options, members)  # type: ignore[no-any-return]
        return module.build(options, num_classes, encoder_of(self.name))  # type: ignore[no-any-return]

    @property
    def stands_on_members(self) -> bool:
        return bool(components.find("models", self.name).LIBRARY == "members")

    @property
    def is_wrong_on_purpose(self) -> bool:
        """The published readout that compares different windows: kept to show what it costs."""
        return self.settings.get("readout") == "crop_unaligned"

    @property
    def has_other_convolutions(self) -> bool:
        """Separable ones instead of the encoder's own, which the encoder's weights do not fit."""
        return self.settings.get("separable") == "all"

    @property
    def step(self) -> int:
        """Sizes are multiples of this."""
        of = MEMBER if self.stands_on_members else self
        multiple: int = components.options("models", of.name, of.settings).size_multiple
        return multiple

    def size(self, tall: int, wide: int) -> tuple[int, int]:
        return tall * self.step, wide * self.step

    def images(self, batch: int, tall: int = 2, wide: int = 3) -> Tensor:
        """uint8 noise [batch, 3, H, W] of one of the smallest sizes that the model takes."""
        generator = torch.Generator().manual_seed(batch)
        return torch.randint(0, 256, (batch, 3, *self.size(tall, wide)), generator=generator, dtype=torch.uint8)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.settings.items())])


MEMBER = Variant("unet", {"frozen": True})
"""What stands in for the trained models that another model is made of."""

VARIANTS = [Variant(name, settings) for name in components.names("models") for settings in SETTINGS.get(name, [{}])]


def every(variants: list[Variant]) -> pytest.MarkDecorator:
    """All tests of a module for the first of these, then all for the next."""
    return pytest.mark.parametrize("variant", variants, ids=str, scope="module")


every_model = every(VARIANTS)
every_model_on_an_encoder = every([variant for variant in VARIANTS if not variant.stands_on_members])
