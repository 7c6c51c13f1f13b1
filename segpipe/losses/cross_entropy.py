"""Cross entropy over all pixels that are not ignored, with optional weights by class name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from segpipe.params.schema import Settings

if TYPE_CHECKING:
    from torch import nn


class Options(Settings):
    class_weights: dict[str, PositiveFloat] = Field(default_factory=dict, description="1 for classes not named")


def build(options: Options, class_names: list[str]) -> nn.Module:
    """The module; an all-ignored batch has loss 0, where torch's own has NaN."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    from segpipe.labels import IGNORE

    class CrossEntropy(nn.Module):
        weights: Tensor

        def __init__(self) -> None:
            super().__init__()
            weights = [options.class_weights.get(name, 1.0) for name in class_names]
            self.register_buffer("weights", torch.tensor(weights))

        def forward(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
            # Flat, since 2-D cross entropy is not deterministic on CUDA.
            at_least_fp32 = torch.promote_types(logits.dtype, torch.float32)
            scores = logits.movedim(1, -1).flatten(0, -2).to(at_least_fp32)  # [B·H·W, C]
            truth, weights = masks.flatten().long(), self.weights.to(at_least_fp32)
            total = functional.cross_entropy(scores, truth, weights, ignore_index=IGNORE, reduction="sum")
            counted = weights[truth[truth != IGNORE]].sum()
            return {"cross_entropy": total / counted.clamp(min=1e-12)}

    return CrossEntropy()
