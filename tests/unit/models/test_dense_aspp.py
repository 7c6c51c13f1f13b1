"""DenseASPP as published: the parameters of each experiment to the last one, and the size of its features."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights
from segpipe.models import dense_aspp


@cache
def weights(name: str) -> EncoderWeights:
    state = timm.create_model(name, num_classes=0).state_dict()
    return EncoderWeights("timm", name, state, IMAGENET_MEAN, IMAGENET_STD)


def built(num_classes: int = 20, encoder: str = "densenet121", **options: Any) -> Any:
    return dense_aspp.build(dense_aspp.Options(**options), num_classes, weights(encoder)).eval()


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("layout", "num_classes", "in_channels", "published"),
    [
        (1, 20, 512, 662_420),
        (2, 20, 1024, 1_266_580),
        (3, 20, 1024, 1_266_580),
        (4, 20, 1024, 2_252_820),
        (5, 19, 1024, 2_748_179),
    ],
)
def test_each_layout_has_the_published_channels_and_parameters(
    layout: int, num_classes: int, in_channels: int, published: int
) -> None:
    model = built(num_classes, layout=layout)
    with torch.inference_mode():
        (features,) = model.features(torch.zeros(1, 3, 16, 24))
    assert features.shape == (1, in_channels, 2, 3)
    assert num_parameters(model.aspp) == published


def test_the_whole_of_model_4_has_the_published_parameters() -> None:
    model = built()
    assert num_parameters(model.backbone) == 6_953_856
    assert num_parameters(model) == 9_206_676


@pytest.mark.parametrize(
    ("encoder", "published"),
    [("densenet201", 3_426_580), ("mobilenetv3_large_100", 2_168_980), ("convnext_tiny", 1_917_460)],
)
def test_layout_4_has_the_published_parameters_on_each_extractor(encoder: str, published: int) -> None:
    assert num_parameters(built(encoder=encoder).aspp) == published


def test_an_image_of_512x1024_has_features_of_1024x64x128() -> None:
    with torch.inference_mode():
        (features,) = built().to("meta").features(torch.zeros(1, 3, 512, 1024, device="meta"))
    assert features.shape == (1, 1024, 64, 128)


def test_without_all_its_blocks_the_model_classifies_the_features_alone() -> None:
    model = built(5, layout=1)
    images = torch.randint(0, 256, (1, 3, 24, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        (features,) = model.features(images * model.scale + model.shift)
        alone = functional.conv2d(features, model.aspp.classifier.weight[:, :512], model.aspp.classifier.bias)
        model.remove_top_blocks(4)
        expected = functional.interpolate(alone, (24, 40), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model(images), expected)
