"""What every model is to the rest of segpipe: uint8 RGB images in, C >= 2 logits for every pixel out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SegmentationModel(nn.Module):
    """A network between the normalisation of its input and the readout of its output.

    A model file gives its `backbone`, and `head`, which makes logits of what that makes of an image: its features.
    Where its cells are no pixels, it says so by `output_stride` (or `cell_grid`) and `readout`, through which the
    geometry proof and the resolution ceiling send the truth itself.

    All that is trained belongs to the head, if the backbone is frozen: its features may be kept, and taken up later.
    """

    backbone: nn.Module
    output_stride = 1
    shows_whole_image = True
    """Whether the logits are of the whole image, or only of a window of it, which `truth` is cut to."""
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
        size = (images.shape[-2], images.shape[-1])
        try:
            return self.readout(self.cell_logits(self.normalised(images)), size)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"a batch of {len(images)} of size {list(size)} leaves a batch norm a single value for each channel, "
                "where it needs two to train. Choose a batch that leaves no image over, or larger images"
            ) from error

    def from_features(self, features: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
        """Features that were kept -> logits [B, C, H, W]."""
        return self.readout(self.head(tuple(each.to(self.scale.dtype) for each in features)), size)

    def normalised(self, images: Tensor) -> Tensor:
        """uint8 [B, 3, H, W] -> as the backbone was trained on."""
        return images.to(self.scale.dtype) * self.scale + self.shift

    def cell_logits(self, images: Tensor) -> Tensor:
        """Normalised [B, 3, H, W] -> logits [B, C, h, w] of the model's output cells."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.has_fixed_features):
            features = self.features(images)
        return self.head(features)

    @property
    def has_fixed_features(self) -> bool:
        """Whether an image has the same features however long we train: nothing of them need be kept for a gradient."""
        return self.is_frozen("backbone.")

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the backbone, and nothing else, makes of normalised images [B, 3, H, W]."""
        made = self.backbone(images)
        return (made,) if isinstance(made, Tensor) else tuple(made)

    def head(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features -> logits [B, C, h, w]."""
        raise NotImplementedError(f"{type(self).__name__} must say how features become logits")

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Cells -> pixels: [B, C, h, w] -> [B, C, H, W]."""
        return cell_logits

    def cell_grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """How many output cells an image of this size has: [h, w]."""
        return size[0] // self.output_stride, size[1] // self.output_stride

    def truth(self, masks: Tensor) -> Tensor:
        """What the logits are to be compared with: [B, H, W] class ids -> the same for the window that is read out."""
        return masks

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """What is trained, by the factor that its learning rate takes."""
        return [(1.0, [parameter for parameter in self.parameters() if parameter.requires_grad])]

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
