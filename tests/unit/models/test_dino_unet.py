"""S0's decoder over DINOv2: its published parameter counts, its options, and what its published readout costs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import timm
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from segpipe.acquisition.scenery import aerial
from segpipe.confusion import confusion_matrix
from segpipe.datasets import drone
from segpipe.evaluation.ceiling import perfect_prediction
from segpipe.layers.encoders import EncoderWeights
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.metrics import overlap
from segpipe.models import dino_unet
from segpipe.params.schema import Optimizer
from segpipe.training import optimizers
from tests.unit.layers.tiny_transformer import encoder

SMALL: dict[str, Any] = {"depth": 4, "decoder_channels": [16, 8, 8, 8]}


def built(num_classes: int = 2, seed: int = 0, of: EncoderWeights | None = None, **options: Any) -> Any:
    torch.manual_seed(seed)
    settings = dino_unet.Options.model_validate(options)
    return dino_unet.build(settings, num_classes, of or encoder())


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def vit_b() -> EncoderWeights:
    """The published encoder, as shapes alone: to draw 86 million numbers at random takes seconds."""
    with torch.device("meta"):
        state = timm.create_model("vit_base_patch14_dinov2", num_classes=0).state_dict()
    return EncoderWeights("timm", "vit_base_patch14_dinov2", state, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(("num_classes", "classifier"), [(11, 715), (12, 780)])
def test_the_published_model_has_the_published_parameters(num_classes: int, classifier: int) -> None:
    model = built(num_classes, of=vit_b())
    # A transposed convolution from c to d channels with kernel 2 has 4 * c * d weights and d biases.
    widths = [768, 512, 256, 128, 64]
    blocks = [4 * c * d + d for c, d in itertools.pairwise(widths)]
    assert sum(blocks) == 2_261_952
    assert [num_parameters(doubling) for doubling in model.decoder.doublings] == blocks
    assert num_parameters(model.decoder.classifier) == 64 * num_classes + num_classes == classifier
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 2_261_952 + classifier
    assert num_parameters(model.backbone) == sum(value.numel() for value in vit_b().state.values())
    assert sum(value.numel() for value in model.trained_state().values()) == 2_261_952 + classifier


def test_the_published_model_has_592_cells_for_518_pixels() -> None:
    model = built(12, of=vit_b())
    assert model.cell_grid((518, 518)) == (592, 592)
    with torch.inference_mode():
        features = model.features(torch.zeros(1, 3, 518, 518, device="meta"))
        cells = model.decoder.to("meta")(features)
    assert [tuple(feature.shape) for feature in features] == [(1, 768, 37, 37)]
    assert cells.shape == (1, 12, 592, 592)


@pytest.mark.parametrize("kernel", [2, 4])
@pytest.mark.parametrize(("norm", "extra"), [("none", 1), ("batch", 2), ("group", 2)])
def test_kernel_and_norm_change_the_parameters_as_counted_by_hand(kernel: int, norm: str, extra: int) -> None:
    """Without a norm each channel has a bias; with one, the norm's scale and shift instead."""
    model = built(kernel=kernel, norm=norm, **SMALL)
    widths = [384, 16, 8, 8, 8]
    expected = [kernel**2 * c * d + extra * d for c, d in itertools.pairwise(widths)]
    assert [num_parameters(doubling) for doubling in model.decoder.doublings] == expected
    assert model.eval()(torch.zeros(1, 3, 28, 42, dtype=torch.uint8)).shape == (1, 2, 28, 42)


def test_skips_reach_the_decoder_the_latest_first() -> None:
    """After blocks 1 and 3: the projection of 3 is added to cells of half a token, that of 1 to quarters."""
    model = built(skips=[1, 3], **SMALL).eval()
    one, three, last = model.features(torch.rand(1, 3, 28, 42))
    cells = last
    for doubling, skip in zip(model.decoder.doublings, (three, one, None, None), strict=True):
        cells = doubling.up(cells)
        if skip is not None:
            projected = torch.einsum("oi,bihw->bohw", doubling.project.weight[:, :, 0, 0], skip)
            cells = cells + nn.functional.interpolate(projected, cells.shape[2:], mode="bilinear")
        cells = cells.relu()
    torch.testing.assert_close(model.decoder((one, three, last)), model.decoder.classifier(cells), rtol=1e-4, atol=1e-5)


def test_skips_from_frozen_and_trained_blocks_are_those_of_the_uncut_transformer() -> None:
    images = torch.randint(0, 256, (2, 3, 28, 42), generator=torch.Generator().manual_seed(0)).byte()
    logits = [built(skips=[1, 2, 3], trainable_blocks=n, **SMALL).eval()(images) for n in (0, 1, 2, 3)]
    for found in logits[1:]:
        torch.testing.assert_close(found, logits[0], rtol=1e-4, atol=1e-5)


def test_the_trained_blocks_are_part_of_the_checkpoint_and_the_frozen_ones_are_not() -> None:
    model = built(trainable_blocks=1, **SMALL)
    parts = {key.split(".")[0] for key in model.trained_state()}
    assert parts == {"tail", "decoder"}
    assert {key.split(".")[1] for key in model.trained_state() if key.startswith("tail.")} == {"blocks", "norm"}
    assert len(model.backbone.network.blocks) == 3
    assert len(model.tail.blocks) == 1
    assert {key.split(".")[0] for key in built(**SMALL).trained_state()} == {"decoder"}


def test_the_trained_blocks_have_a_learning_rate_of_their_own() -> None:
    model = built(trainable_blocks=2, backbone_lr_factor=0.05, **SMALL)
    optimizer = optimizers.build(Optimizer(lr=1e-3), model.parameter_groups())
    optimizers.set_learning_rate(optimizer, 2e-3)
    by_parameter = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {by_parameter[id(p)] for p in model.tail.parameters()} == {0.05 * 2e-3}
    assert {by_parameter[id(p)] for p in model.decoder.parameters()} == {2e-3}
    assert len(by_parameter) == sum(1 for p in model.parameters() if p.requires_grad)


def test_nothing_of_the_frozen_blocks_is_kept_while_the_last_ones_are_trained() -> None:
    """What autograd holds grows with the trained blocks, and with nothing else."""
    images = torch.rand(1, 3, 56, 56)
    kept = {
        (depth, trained): bytes_kept(built(trainable_blocks=trained, **{**SMALL, "depth": depth}), images)
        for depth, trained in ((2, 0), (4, 0), (2, 1), (4, 1), (4, 2))
    }
    assert kept[2, 0] == kept[4, 0] < kept[2, 1] == kept[4, 1] < kept[4, 2]


def bytes_kept(model: SegmentationModel, images: Tensor) -> int:
    """The memory of all that a forward pass saves for its backward, each stretch of it once."""
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model.cell_logits(images)
    assert logits.requires_grad
    return sum(saved.values())


@pytest.mark.parametrize("size", [(252, 252), pytest.param((518, 518), marks=pytest.mark.slow)])
def test_on_aerial_scenes_the_unaligned_crop_costs_a_perfect_predictor_half_its_score(size: tuple[int, int]) -> None:
    scenes = list(aerial.scenes(7, 4, size))
    masks = torch.stack([torch.from_numpy(drone._grouping(drone.GROUPS_5)[scene.things]) for scene in scenes])
    scores = {}
    for readout in ("resize", "crop", "crop_unaligned"):
        model = built(5, readout=readout, **SMALL)
        truth, predicted = (found.numpy() for found in (model.truth(masks), perfect_prediction(model, masks, 5)))
        scores[readout] = overlap.overall(confusion_matrix(truth, predicted, 5))["miou"]
    assert scores["resize"] > 0.999
    assert 0.98 < scores["crop"] < scores["resize"]  # nearest neighbours, eight for seven
    assert 0.4 < scores["crop_unaligned"] < 0.6


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"skips": [3, 2]}, "different numbers in rising order"),
        ({"skips": [2, 2]}, "different numbers in rising order"),
        ({"skips": [1, 2, 3, 4, 5]}, "at most 4 items"),
        ({"kernel": 3}, "2 or 4"),
        ({"decoder_channels": [8, 8, 8]}, "Field required"),
        ({"readout": "center"}, "'resize', 'crop' or 'crop_unaligned'"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        dino_unet.Options.model_validate(options)


def test_a_model_follows_from_its_seed() -> None:
    one, same, other = (built(seed=seed, trainable_blocks=1, **SMALL).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert {key.split(".")[0] for key in one if not torch.equal(one[key], other[key])} == {"decoder"}
