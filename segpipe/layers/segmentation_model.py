"""What every model is to the rest of segpipe: uint8 RGB images in, C >= 2 logits for every pixel out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SegmentationModel(nn.Module):
    """A network between the normalisation of its input and the readout of its output.

    A model file gives `cell_logits`; where these are coarser than the image, it sets `output_stride` and gives
    `readout`, through which the geometry proof and the resolution ceiling send the truth itself.
    """

    output_stride = 1
    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Folded for uint8 input, so that an image stays a byte a value until it is on the device.
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, -1, 1, 1)), persistent=False)
        self.register_buffer("shift", -(torch.tensor(mean) / torch.tensor(std)).view(1, -1, 1, 1), persistent=False)
        self._frozen: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, 3, H, W] -> logits [B, C, H, W]."""
        normalised = images.to(self.scale.dtype) * self.scale + self.shift
        return self.readout(self.cell_logits(normalised), (images.shape[-2], images.shape[-1]))

    def cell_logits(self, images: Tensor) -> Tensor:
        """Normalised [B, 3, H, W] -> logits [B, C, h, w] of the model's output cells."""
        raise NotImplementedError(f"{type(self).__name__} must say how images become logits")

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Cells -> pixels: [B, C, h, w] -> [B, C, H, W]."""
        return cell_logits

    def on(self, device: torch.device) -> SegmentationModel:
        """The model on its device, its weights laid out for channels-last images."""
        self.to(device).to(memory_format=torch.channels_last)
        return self

    def freeze(self, *parts: str) -> None:
        """Hold these submodules: no gradients, and evaluation mode whatever the rest is in."""
        self._frozen = parts
        for part in parts:
            self.get_submodule(part).requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> SegmentationModel:
        super().train(mode)
        for part in self._frozen:
            self.get_submodule(part).eval()
        return self

    def is_frozen(self, key: str) -> bool:
        """Whether this entry of the state dict belongs to a frozen part."""
        return any(key.startswith(f"{part}.") for part in self._frozen)

    def trained_state(self) -> dict[str, Tensor]:
        """The part of the state dict that training may change."""
        return {key: value for key, value in self.state_dict().items() if not self.is_frozen(key)}
