"""SegFormer: smp's own but for its readout, its parameters counted, and the convolution that saves some of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module
from segpipe.models import segformer


@cache
def weights(name: str) -> EncoderWeights:
    state = encoder_module("smp", name, pretrained=False).state_dict()
    return EncoderWeights("smp", name, state, IMAGENET_MEAN, IMAGENET_STD)


def built(num_classes: int = 5, encoder: str = "mit_b0", **options: Any) -> Any:
    torch.manual_seed(0)
    return segformer.build(segformer.Options(**options), num_classes, weights(encoder)).eval()


def of_smp(num_classes: int = 5, encoder: str = "mit_b0", width: int = 256) -> Any:
    return smp.Segformer(encoder, encoder_weights=None, decoder_segmentation_channels=width, classes=num_classes).eval()


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def moved_into(theirs: Any, ours: Any) -> Any:
    """smp's SegFormer with our weights: its layers run from the deepest level, and one fuses all levels."""
    theirs.encoder.load_state_dict(ours.backbone.state_dict())
    levels = list(ours.decoder.levels)[::-1]
    for mlp, (linear, _) in zip(theirs.decoder.mlp_stage, levels, strict=True):
        mlp.linear.load_state_dict({"weight": linear.weight.flatten(1), "bias": linear.bias})
    norm, _, last = ours.decoder.classifier
    theirs.decoder.fuse_stage[0].weight.data = torch.cat([fuse.weight for _, fuse in levels], 1).detach()
    theirs.decoder.fuse_stage[1].load_state_dict(norm.state_dict())
    theirs.segmentation_head[0].load_state_dict(last.state_dict())
    return theirs


@pytest.mark.parametrize(("encoder", "width", "num_classes"), [("mit_b0", 256, 2), ("mit_b1", 64, 20)])
def test_the_parameters_are_smps_own(encoder: str, width: int, num_classes: int) -> None:
    model = built(num_classes, encoder, width=width)
    assert num_parameters(model) == num_parameters(of_smp(num_classes, encoder, width))


def test_the_parameters_of_the_decoder_are_those_counted_by_hand() -> None:
    # Four linear layers with biases, one that fuses them with its norm, one to five classes.
    of_levels = sum(channels * 256 + 256 for channels in (32, 64, 160, 256))
    assert num_parameters(built().decoder) == of_levels + 4 * 256 * 256 + 2 * 256 + 256 * 5 + 5


def test_with_the_same_weights_the_cells_are_smps_own() -> None:
    """Fused before up-sampling and not after: another order of the same sums."""
    ours = built(width=64)
    theirs = moved_into(of_smp(width=64), ours)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs.segmentation_head[0](theirs.decoder(theirs.encoder(images)))
        found = ours.cell_logits(images)
    assert found.shape == (2, 5, 16, 24)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_border_between_cells_stays_where_it_is_and_smp_moves_it() -> None:
    cells = functional.one_hot(torch.tensor([[[0, 1, 1, 1, 1, 1, 1, 0]]]), 2).movedim(-1, 1).float()  # [1, 2, 1, 8]
    ours = built(2).readout(cells, (4, 32)).argmax(1)
    smps = of_smp(2).segmentation_head[1](cells).argmax(1)
    truth = torch.tensor([0] * 4 + [1] * 24 + [0] * 4)
    assert all(torch.equal(row, truth) for row in ours[0])
    assert all(torch.equal(row, torch.tensor([0] * 3 + [1] * 26 + [0] * 3)) for row in smps[0])


def test_the_convolution_saves_the_parameters_counted_by_hand() -> None:
    mlp = 4 * 256 * 256 + 2 * 256 + 256 * 5 + 5
    convolution = 9 * 4 * 256 * 5 + 5
    assert mlp - convolution == 217_856
    saved = num_parameters(built()) - num_parameters(built(last_layer="convolution"))
    assert saved == 217_856


def test_the_convolution_saves_parameters_up_to_29_classes() -> None:
    pairs = {classes: (built(classes), built(classes, last_layer="convolution")) for classes in (29, 30)}
    saved = {classes: num_parameters(mlp) - num_parameters(other) for classes, (mlp, other) in pairs.items()}
    assert saved[29] > 0 > saved[30]


def test_a_separable_convolution_saves_the_parameters_counted_by_hand() -> None:
    whole, split = (built(last_layer="convolution", separable=kind) for kind in ("none", "decoder"))
    assert num_parameters(whole) - num_parameters(split) == 9 * 1024 * 5 - (9 * 1024 + 1024 * 5)


def test_the_features_are_the_four_levels_of_the_encoder() -> None:
    with torch.inference_mode():
        features = built().features(torch.randn(1, 3, 64, 96))
    assert [tuple(level.shape[1:]) for level in features] == [(32, 16, 24), (64, 8, 12), (160, 4, 6), (256, 2, 3)]


def test_logits_are_float32_under_autocast_so_that_up_sampling_makes_no_ties() -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = built()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    assert logits.dtype == torch.float32


def test_separable_without_a_convolution_is_refused() -> None:
    with pytest.raises(ValidationError, match="none beside `last_layer: mlp`, which has nothing to separate"):
        segformer.Options(separable="decoder")
