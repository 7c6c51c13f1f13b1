"""A weighted sum of other losses, such as cross entropy and Lovász.

Their terms keep their names; where two have the same, each takes its place in the list behind it: `dice_1`, `dice_3`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from segpipe import components
from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Term(Settings):
    """One loss of the sum: its name, how much it weighs, and its own options."""

    name: str
    weight: PositiveFloat = 1.0
    options: dict[str, Any] = Field(default={}, validate_default=True)

    @field_validator("name")
    @classmethod
    def _names_a_loss(cls, name: str) -> str:
        known = sorted(set(components.names("losses")) - {"weighted_sum"})
        if name == "weighted_sum":
            raise PydanticCustomError("nested_sum", "a loss that is no sum: write its terms into this list")
        if name not in known:
            hint = components.did_you_mean(name, known)
            raise PydanticCustomError("no_such_loss", "a file in segpipe/losses{hint}", {"hint": hint})
        return name

    @field_validator("options")
    @classmethod
    def _are_the_options_of_that_loss(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Complete with that loss's defaults, so that what is resolved says everything."""
        if "name" not in info.data:
            return options
        complete: dict[str, Any] = components.options("losses", info.data["name"], options).model_dump(mode="json")
        return complete


class Options(Settings):
    terms: tuple[Term, ...]

    @field_validator("terms")
    @classmethod
    def _are_some(cls, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        """Asked afterwards: `min_length` would also count the terms that did not fit."""
        if not terms:
            raise PydanticCustomError("no_terms", "at least one loss in it")
        return terms

    def parts(self) -> list[str]:
        """The losses that this one is made of: who depends on its file depends on theirs."""
        return sorted({term.name for term in self.terms})


def build(options: Options, class_weights: Tensor) -> nn.Module:
    """The module; every loss in it takes the same class weights."""
    from torch import nn

    class WeightedSum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.losses = nn.ModuleList(_built(term, class_weights) for term in options.terms)

        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            found = [loss(logits, masks) for loss in self.losses]
            times = Counter(name for terms in found for name in terms)
            return {
                name if times[name] == 1 else f"{name}_{place}": term.weight * value
                for place, (term, terms) in enumerate(zip(options.terms, found, strict=True), 1)
                for name, value in terms.items()
            }

    return WeightedSum()


def _built(term: Term, class_weights: Tensor) -> nn.Module:
    options = components.options("losses", term.name, term.options)
    module: nn.Module = components.find("losses", term.name).build(options, class_weights)
    return module
