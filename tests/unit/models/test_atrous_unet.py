"""The atrous U-Net: its parameters counted by hand, its readout, and the settings that it refuses."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module
from segpipe.models import atrous_unet


@cache
def weights(name: str) -> EncoderWeights:
    state = encoder_module("smp", name, pretrained=False).state_dict()
    return EncoderWeights("smp", name, state, IMAGENET_MEAN, IMAGENET_STD)


def built(encoder: str = "resnet18", **options: Any) -> Any:
    return atrous_unet.build(atrous_unet.Options(**options), 2, weights(encoder)).eval()


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def counted(below: int, skip: int, out: int) -> int:
    """A stage: a 1x1 and three 3x3 convolutions to a quarter of the channels each, a 1x1 over all, their norms."""
    branches = (1 + 3 * 9) * (below + skip) * (out // 4) + 2 * out
    return branches + out * out + 2 * out


@pytest.mark.parametrize(
    ("encoder", "skips", "deepest", "total"),
    [
        ("resnet50", (1024, 512, 256, 64), 2048, 25_191_810),
        ("resnet18", (256, 128, 64, 64), 512, 16_393_602),
    ],
)
def test_the_parameters_are_those_counted_by_hand(
    encoder: str, skips: tuple[int, ...], deepest: int, total: int
) -> None:
    model = built(encoder)
    outs = (1024, 512, 256, 64)
    stages = [counted(*stage) for stage in zip((1024, *outs), skips, outs, strict=False)]
    bridge, classifier = deepest * 1024 + 2 * 1024, 64 * 2 + 2
    assert [num_parameters(stage) for stage in model.decoder.stages] == stages
    assert num_parameters(model) - num_parameters(model.backbone) == bridge + sum(stages) + classifier == total


def test_the_encoder_of_resnet50_has_the_published_skips() -> None:
    with torch.inference_mode():
        features = built("resnet50").to("meta").features(torch.zeros(1, 3, 512, 512, device="meta"))
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (64, 256, 256),
        (256, 128, 128),
        (512, 64, 64),
        (1024, 32, 32),
        (2048, 16, 16),
    ]


def test_classifying_before_the_last_up_sampling_is_classifying_behind_it() -> None:
    model = built(channels=(16, 16, 8, 8))
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        decoded = model.decoder(model.features(images))
        large = functional.interpolate(decoded, (64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model.readout(model.cell_logits(images), (64, 96)), model.classifier(large))


def test_other_rates_and_kernels_reach_every_stage() -> None:
    model = built(rates=(1, 3), kernels=(3, 5), channels=(16, 16, 8, 8))
    for stage in model.decoder.stages:
        convolutions = [branch[0] for branch in stage.block.branches]
        assert [(c.kernel_size[0], c.dilation[0]) for c in convolutions] == [(3, 1), (5, 3)]


def test_attention_puts_a_gate_on_every_skip_of_a_resnet() -> None:
    assert [stage.gate for stage in built().decoder.stages] == [None] * 4
    gates = [stage.gate.of_skip.in_channels for stage in built(attention="gate").decoder.stages]
    assert gates == [256, 128, 64, 64]


@pytest.mark.parametrize("settings", [{"kernels": [1, 3]}, {"rates": [1, 6, 12, 18, 24]}])
def test_there_is_a_kernel_for_each_rate(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        atrous_unet.Options.model_validate(settings)
    (error,) = refusal.value.errors()
    assert error["loc"] == ("kernels",)
    assert error["msg"] == f"{len(settings.get('rates', range(4)))} in it, one for each rate"
