"""What all models share: a normalisation folded for bytes, parts that stay frozen, and features that may be kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segpipe.layers.segmentation_model import SegmentationModel

MEAN, STD = (0.5, 0.25, 0.125), (0.5, 0.25, 0.25)


class Small(SegmentationModel):
    """A backbone with statistics, a head, and nothing else."""

    def __init__(self, makes_several: bool = False) -> None:
        super().__init__(MEAN, STD)
        self.backbone = Twice() if makes_several else nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.classifier = nn.Conv2d(4, 2, 1)

    def head(self, features: tuple[Tensor, ...]) -> Tensor:
        logits: Tensor = self.classifier(features[-1])
        return logits


class Twice(nn.Module):
    """Two maps, as a list."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images, images.mean(1, keepdim=True).expand(-1, 4, -1, -1)]


def test_bytes_are_normalised_as_numbers_between_0_and_1_would_be() -> None:
    model = Small()
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    found = model.normalised(images).flatten()
    # (0 - 0.5) / 0.5, (0.2 - 0.25) / 0.25, (1 - 0.125) / 0.25
    torch.testing.assert_close(found, torch.tensor([-1.0, -0.2, 3.5]))


def test_one_map_of_a_backbone_is_one_feature_and_several_are_several() -> None:
    images = torch.rand(2, 3, 4, 5)
    assert [tuple(feature.shape) for feature in Small().features(images)] == [(2, 4, 4, 5)]
    assert [feature.shape[1] for feature in Small(makes_several=True).features(images)] == [3, 4]


def test_a_model_is_taken_for_fixed_only_where_its_backbone_is_held() -> None:
    """Weights without gradients are not enough: statistics would go on moving."""
    model = Small()
    model.backbone.requires_grad_(False)
    assert not model.has_fixed_features
    model.freeze("backbone")
    assert model.has_fixed_features


def test_a_frozen_part_stays_in_evaluation_mode_and_unmoved() -> None:
    model = Small()
    model.freeze("backbone")
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    images = torch.randint(0, 256, (2, 3, 4, 4)).byte()
    model.train()(images).square().mean().backward()
    assert not model.backbone.training
    assert model.classifier.training
    assert all(torch.equal(value, before[key]) for key, value in model.backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    assert model.trained_state().keys() == {"classifier.weight", "classifier.bias"}


def test_the_truth_of_a_whole_image_is_its_mask() -> None:
    masks = torch.zeros(1, 4, 4)
    assert Small.shows_whole_image
    assert Small().truth(masks) is masks


def test_a_single_value_for_a_batch_norm_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"a batch of 1 of size \[1, 1\] leaves a batch norm a single value"):
        Small().train()(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))


def test_other_errors_of_a_model_keep_their_own_words() -> None:
    class Broken(Small):
        def head(self, features: tuple[Tensor, ...]) -> Tensor:
            raise ValueError("something else is wrong")

    with pytest.raises(ValueError, match=r"^something else is wrong$"):
        Broken()(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
