"""S4's light heads over DINOv2: their parameters, what they see, and checkpoints that hold a head alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch.nn import functional

from segpipe.checkpoints import load_model, save_model
from segpipe.models import dino_linear
from tests.unit.layers.tiny_transformer import encoder

DEPTH = 5


def built(num_classes: int = 12, seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return dino_linear.build(dino_linear.Options.model_validate({"depth": DEPTH, **options}), num_classes, encoder())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"head": "linear"}, 384 * 12 + 12),
        ({"head": "linear", "layers": 4}, 4 * 384 * 12 + 12),
        ({"head": "bn_linear"}, 2 * 384 + 384 * 12 + 12),
        ({"head": "conv"}, 9 * 384 * 128 + 128 + 128 * 12 + 12),
        ({"head": "conv", "layers": 4, "conv_channels": 10}, 9 * 4 * 384 * 10 + 10 + 10 * 12 + 12),
    ],
)
def test_only_the_head_is_trained_and_has_the_parameters_counted_by_hand(
    options: dict[str, Any], expected: int
) -> None:
    model = built(**options)
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[0] for name in trainable} == {"segmentation_head"}
    assert sum(parameter.numel() for parameter in trainable.values()) == expected


def test_the_linear_head_is_a_matrix_for_every_token() -> None:
    model = built().eval()
    images = torch.randint(0, 256, (1, 3, 28, 42), generator=torch.Generator().manual_seed(0)).byte()
    with torch.inference_mode():
        (tokens,) = model.features(model.normalised(images))
        matrix, bias = model.segmentation_head.weight[:, :, 0, 0], model.segmentation_head.bias
        cells = torch.einsum("oi,bihw->bohw", matrix, tokens) + bias.view(-1, 1, 1)
        expected = functional.interpolate(cells, (28, 42), mode="bilinear")
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)


def test_four_layers_are_the_maps_after_the_last_four_blocks_in_order() -> None:
    images = torch.rand(1, 3, 28, 42, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        four = built(layers=4).features(images)
        alone = [built(depth=depth).features(images)[0] for depth in (2, 3, 4, 5)]
    assert len(four) == 4
    for one, other in zip(four, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_holds_the_head_alone_and_is_enough(tmp_path: Path) -> None:
    trained, fresh = built(head="bn_linear", seed=1), built(head="bn_linear", seed=2)
    images = torch.randint(0, 256, (2, 3, 42, 28)).byte()
    trained.train()(images)  # moves the batch norm's statistics
    save_model(trained.trained_state(), tmp_path / "model.safetensors", "trial")
    held = load_file(tmp_path / "model.safetensors")
    assert {key.split(".")[0] for key in held} == {"segmentation_head"}
    assert (tmp_path / "model.safetensors").stat().st_size < 50_000
    with torch.inference_mode():
        loaded = load_model(fresh, tmp_path / "model.safetensors")
        assert torch.equal(loaded(images), trained.eval()(images))


def test_fewer_blocks_than_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"after blocks \[-1, 0\], and those of this transformer are 1 to 2"):
        built(layers=4, depth=2)


@pytest.mark.parametrize("options", [{"layers": 2}, {"head": "mlp"}, {"frozen": False}, {"conv_channels": 0}])
def test_settings_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        dino_linear.Options.model_validate(options)
