"""Extractors of output stride 8: what they compute, against the networks that they are made of."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights
from segpipe.layers.stride8_extractors import stride8_extractor

IMAGES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def network(name: str) -> Any:
    """timm's own, without a classifier."""
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0).eval()


def weights(name: str) -> EncoderWeights:
    return EncoderWeights("timm", name, network(name).state_dict(), IMAGENET_MEAN, IMAGENET_STD)


def test_a_densenet_without_its_last_two_strides_sees_what_it_saw_with_them() -> None:
    """Where timm's network skips pixels instead of averaging them, it is ours at every fourth cell."""
    strided = network("densenet121")
    for transition in (strided.features.transition2, strided.features.transition3):
        transition.pool = nn.AvgPool2d(1, stride=2)
    extractor, channels = stride8_extractor(weights("densenet121"))
    with torch.inference_mode():
        found, expected = extractor.eval()(IMAGES), strided.forward_features(IMAGES)
    assert found.shape == (1, 1024, 8, 12)
    assert channels == 1024
    torch.testing.assert_close(found[..., ::4, ::4], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("last_block", "channels"), [(1, 256), (2, 512), (3, 1024), (4, 1024)])
def test_a_densenet_may_end_behind_any_of_its_blocks(last_block: int, channels: int) -> None:
    extractor, told = stride8_extractor(weights("densenet121"), last_block)
    with torch.inference_mode():
        stride = 4 if last_block == 1 else 8
        assert extractor.eval()(IMAGES).shape == (1, channels, 64 // stride, 96 // stride)
    assert told == channels


def test_up_to_its_second_block_a_densenet_is_as_timm_has_it() -> None:
    """Its stride is 8 there anyway."""
    extractor, _ = stride8_extractor(weights("densenet121"), last_block=2)
    whole = network("densenet121").features
    with torch.inference_mode():
        expected = whole[: list(dict(whole.named_children())).index("denseblock2") + 1](IMAGES)
        assert torch.equal(extractor.eval()(IMAGES), expected)


@pytest.mark.parametrize(
    ("name", "channels", "left_in_the_file"),
    [("mobilenetv3_large_100", 960, "conv_head."), ("convnext_tiny", 768, "head.")],
)
def test_other_families_reach_stride_8_with_all_weights_but_those_of_their_heads(
    name: str, channels: int, left_in_the_file: str
) -> None:
    given = weights(name)
    extractor, told = stride8_extractor(given)
    with torch.inference_mode():
        assert extractor.eval()(IMAGES).shape == (1, channels, 8, 12)
    assert told == channels
    expected = [value for key, value in given.state.items() if not key.startswith(left_in_the_file)]
    assert 0 < len(expected) < len(given.state)
    assert all(torch.equal(*pair) for pair in zip(extractor.state_dict().values(), expected, strict=True))


@pytest.mark.parametrize("name", ["densenet121", "mobilenetv3_small_050", "convnext_atto"])
def test_a_weights_file_of_another_network_is_refused(name: str) -> None:
    given = weights(name)
    state = {f"model.{key}": value for key, value in given.state.items()}
    with pytest.raises(RuntimeError, match="Missing key"):
        stride8_extractor(EncoderWeights("timm", name, state, IMAGENET_MEAN, IMAGENET_STD))


def test_an_encoder_of_no_known_family_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError) as refusal:
        stride8_extractor(EncoderWeights("timm", "vgg11", {}, IMAGENET_MEAN, IMAGENET_STD))
    assert "weights of timm's 'vgg11' were given" in str(refusal.value)
    assert "Take a densenet, mobilenetv3, convnext, or add its family" in str(refusal.value)


def test_dense_blocks_are_not_looked_for_in_a_network_that_has_none() -> None:
    with pytest.raises(ValueError) as refusal:
        stride8_extractor(EncoderWeights("timm", "convnext_tiny", {}, IMAGENET_MEAN, IMAGENET_STD), last_block=3)
    assert "from dense block 3, and timm's 'convnext_tiny' has no dense blocks" in str(refusal.value)
    assert "Take another layout, or the weights of a densenet" in str(refusal.value)
