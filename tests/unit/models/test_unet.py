"""The U-Net: smp's own to the last digit, its parameters counted, and what becomes of it when it is made separable."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from pydantic import ValidationError
from torch import nn

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module
from segpipe.models import unet


@cache
def weights(name: str, device: str) -> EncoderWeights:
    with torch.device(device):
        state = encoder_module("smp", name, pretrained=False).state_dict()
    return EncoderWeights("smp", name, state, IMAGENET_MEAN, IMAGENET_STD)


def built(encoder: str = "resnet18", num_classes: int = 2, device: str = "cpu", **options: Any) -> Any:
    """On the device `meta`, shapes without numbers: enough to count parameters."""
    with torch.device(device):
        return unet.build(unet.Options(**options), num_classes, weights(encoder, device)).eval()


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


RESNET34_STAGES = ((512 + 256, 256), (256 + 128, 128), (128 + 64, 64), (64 + 64, 32), (32, 16))
"""Channels into and out of the decoder's stages; two 3x3 convolutions each, with norms."""


def test_the_parameters_are_smps_own_and_those_counted_by_hand() -> None:
    model = built("resnet34", 5, "meta")
    with torch.device("meta"):
        of_smp = smp.Unet("resnet34", encoder_weights=None, classes=5)
    decoder = sum(9 * (into * out + out * out) + 4 * out for into, out in RESNET34_STAGES)
    assert num_parameters(model.decoder) == decoder
    assert num_parameters(model.classifier) == 9 * 16 * 5 + 5
    assert num_parameters(model) == num_parameters(of_smp) == 24_436_369 + 4 * (9 * 16 + 1)  # smp's with one class


def test_with_the_same_weights_it_is_smps_own() -> None:
    channels = [64, 32, 16, 8, 8]
    model = built(num_classes=3, decoder_channels=channels)
    of_smp = smp.Unet("resnet18", encoder_weights=None, decoder_channels=channels, classes=3).eval()
    parts = ((of_smp.encoder, model.backbone), (of_smp.decoder, model.decoder))
    for theirs, ours in (*parts, (of_smp.segmentation_head, model.classifier)):
        theirs.load_state_dict(ours.state_dict())
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(model(images), of_smp(images * model.scale + model.shift))


def test_a_separable_decoder_has_the_parameters_counted_by_hand() -> None:
    model, whole = (built("resnet34", 2, "meta", separable=kind) for kind in ("decoder", "none"))
    split = sum(9 * (into + out) + into * out + out * out + 4 * out for into, out in RESNET34_STAGES)
    assert num_parameters(model.decoder) == split
    assert num_parameters(model) - num_parameters(whole) == split - num_parameters(whole.decoder)


def test_a_separable_encoder_has_the_parameters_counted_by_hand() -> None:
    model, whole = (built("resnet18", 2, "meta", frozen=False, separable=kind) for kind in ("all", "decoder"))
    widths = (
        (64, 64),
        (64, 128),
        (128, 256),
        (256, 512),
    )  # of resnet18's four levels: a stride, then three of one width
    pairs = [pair for into, out in widths for pair in ((into, out), *[(out, out)] * 3)]
    saved = sum(9 * into * out - (9 * into + into * out) for into, out in pairs)
    assert num_parameters(whole.backbone) - num_parameters(model.backbone) == saved
    assert num_parameters(model.decoder) == num_parameters(whole.decoder)


def test_a_separable_encoder_keeps_what_it_was_given_but_for_the_3x3_convolutions() -> None:
    held = built(frozen=False, separable="all").backbone.state_dict()
    given = weights("resnet18", "cpu").state
    untrained = {key for key, value in given.items() if value.shape[2:] == (3, 3)}
    assert len(untrained) == 16
    assert given.keys() - held.keys() == untrained
    assert all(torch.equal(held[key], given[key]) for key in given.keys() & held.keys())


def test_a_separable_unet_gives_logits_and_a_gradient_to_all_of_itself() -> None:
    model = built(frozen=False, separable="all", decoder_channels=[32, 16, 16, 8, 8]).train()
    logits = model(torch.randint(0, 256, (2, 3, 32, 64), dtype=torch.uint8))
    assert logits.shape == (2, 2, 32, 64)
    torch.autograd.backward(logits.square().sum())
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("encoder", ["tu-convnext_atto", "tu-mobilenetv3_small_050", "mobilenet_v2"])
def test_other_encoders_of_smp_and_timm_are_taken_too(encoder: str) -> None:
    with torch.inference_mode():
        logits = built(encoder, decoder_channels=[32, 16, 16, 8, 8])(torch.zeros(1, 3, 64, 32, dtype=torch.uint8))
    assert logits.shape == (1, 2, 64, 32)


def test_an_encoder_without_3x3_convolutions_is_not_silently_left_as_it_is() -> None:
    with pytest.raises(ValueError, match=r"'tu-convnext_atto' has no 3x3 convolution .* Take `separable: decoder`"):
        built("tu-convnext_atto", frozen=False, separable="all")


def test_an_encoder_that_begins_partly_untrained_cannot_be_frozen() -> None:
    with pytest.raises(ValidationError, match="or write `frozen: false`"):
        unet.Options(frozen=True, separable="all")
    with pytest.raises(ValidationError, match="or write `frozen: false`"):
        unet.Options(separable="all")
    assert unet.Options(separable="decoder").frozen


def test_the_decoder_has_five_stages_and_no_other_number() -> None:
    with pytest.raises(ValidationError):
        unet.Options(decoder_channels=[64, 32, 16, 8])  # type: ignore[arg-type]
