"""What every file in segpipe/models/ owes: logits for every pixel, frozen parts that stay frozen, nothing shifted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segpipe import components
from segpipe.checkpoints import load_model, save_model
from segpipe.confusion import confusion_matrix
from segpipe.layers.encoders import EncoderWeights
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.metrics import overlap

EncoderOf = Callable[[str], EncoderWeights]


class Variant(NamedTuple):
    """A model with the settings that a contract is tried under."""

    name: str
    settings: dict[str, Any]

    def build(self, encoder_of: EncoderOf, num_classes: int = 2, seed: int = 0) -> SegmentationModel:
        torch.manual_seed(seed)
        options = components.options("models", self.name, self.settings)
        module = components.find("models", self.name)
        model: SegmentationModel = module.build(options, num_classes, encoder_of(self.name))
        return model

    def images(self, batch: int, tall: int = 2, wide: int = 3, seed: int = 0) -> Tensor:
        """uint8 images of the smallest sizes that the model takes."""
        step = components.options("models", self.name, self.settings).size_multiple
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (batch, 3, tall * step, wide * step), generator=generator, dtype=torch.uint8)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.settings.items())])


def variants() -> list[Variant]:
    """Every model as it stands, and where it can be frozen, frozen and not."""
    found = []
    for name in components.names("models"):
        can_freeze = "frozen" in components.find("models", name).Options.model_fields
        found += [Variant(name, {"frozen": frozen}) for frozen in (True, False)] if can_freeze else [Variant(name, {})]
    return found


every_model = pytest.mark.parametrize("variant", variants(), ids=str)


def step(model: SegmentationModel, images: Tensor) -> None:
    """One step of plain gradient descent on everything that is not frozen."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    logits = model(images)
    truth = torch.randint(0, logits.shape[1], logits[:, 0].shape, generator=torch.Generator().manual_seed(1))
    torch.autograd.backward(functional.cross_entropy(logits, truth))
    optimizer.step()


@every_model
@pytest.mark.parametrize("num_classes", [2, 5, 12, 20])
def test_bytes_go_in_and_logits_for_every_pixel_come_out(
    variant: Variant, num_classes: int, encoder_of: EncoderOf
) -> None:
    model = variant.build(encoder_of, num_classes).eval()
    images = variant.images(batch=3)
    with torch.inference_mode():
        logits = model(images)
    assert logits.dtype == torch.float32
    assert logits.shape == (3, num_classes, *images.shape[-2:])
    assert logits.isfinite().all()


@every_model
def test_an_image_has_the_same_logits_in_any_company(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    images = variant.images(batch=3)
    with torch.inference_mode():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]), rtol=1e-4, atol=1e-5)


@every_model
def test_images_are_normalised_as_the_encoder_was_trained(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    encoder = encoder_of(variant.name)
    images = variant.images(batch=1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (encoder.mean, encoder.std))
    seen: list[Tensor] = []

    def watched(images: Tensor) -> Tensor:
        seen.append(images)
        return SegmentationModel.cell_logits(model, images)

    model.cell_logits = watched  # type: ignore[method-assign]
    with pytest.raises(NotImplementedError):
        model(images)
    torch.testing.assert_close(seen[0], (images / 255 - mean) / std, rtol=1e-5, atol=1e-5)


@every_model
def test_a_trained_model_saved_and_loaded_gives_the_same_logits(
    variant: Variant, encoder_of: EncoderOf, tmp_path: Path
) -> None:
    model, images = variant.build(encoder_of, 5), variant.images(batch=2)
    step(model, images)
    save_model(model.trained_state(), tmp_path / "model.safetensors", "some_experiment")
    loaded = load_model(variant.build(encoder_of, 5, seed=1), tmp_path / "model.safetensors")
    with torch.inference_mode():
        assert torch.equal(loaded(images), model.eval()(images))


@every_model
def test_the_gradient_reaches_every_trainable_parameter(variant: Variant, encoder_of: EncoderOf) -> None:
    model, images = variant.build(encoder_of), variant.images(batch=2)
    step(model, images)
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable
    assert [name for name, parameter in trainable.items() if parameter.grad is None or not parameter.grad.any()] == []


@every_model
def test_what_is_frozen_stays_as_it_was(variant: Variant, encoder_of: EncoderOf) -> None:
    model, images = variant.build(encoder_of), variant.images(batch=2)
    frozen = {key for key in model.state_dict() if model.is_frozen(key)}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    step(model, images)
    if "frozen" in variant.settings:
        assert bool(frozen) == variant.settings["frozen"]
    assert model.trained_state().keys() == model.state_dict().keys() - frozen
    for name, module in model.named_modules():
        assert module.training != model.is_frozen(f"{name}."), name
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != (name in frozen), name
        assert (parameter.grad is None) == (name in frozen), name
    for key, value in model.state_dict().items():
        assert key not in frozen or torch.equal(value, before[key]), key


@every_model
def test_a_frozen_encoder_holds_the_weights_that_it_was_given(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    given = encoder_of(variant.name).state
    held = [value for key, value in model.state_dict().items() if model.is_frozen(key)]
    if variant.settings.get("frozen"):
        assert len(held) == len(given)
        assert all(torch.equal(*pair) for pair in zip(held, given.values(), strict=True))


@every_model
def test_it_is_exported_with_the_same_result(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    with torch.inference_mode():
        expected = model(variant.images(batch=5))
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    exported = torch.export.export(model, (variant.images(batch=2),), dynamic_shapes=(batch,))
    assert torch.equal(exported.module()(variant.images(batch=5)), expected)


@pytest.mark.slow
@every_model
def test_four_small_images_can_be_learnt_by_heart(variant: Variant, encoder_of: EncoderOf) -> None:
    model, images = variant.build(encoder_of), variant.images(batch=4, tall=2, wide=2)
    y, x = torch.meshgrid(*(torch.arange(side) for side in images.shape[-2:]), indexing="ij")
    truth = torch.stack([(x + k * y) % (24 + 4 * k) > 12 for k in range(4)]).long()
    # What is to be seen: a light thing on a dark ground, under noise that differs from image to image.
    images = (images // 4 + 150 * truth.unsqueeze(1)).to(torch.uint8)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    model.train()
    for _ in range(100):
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(model(images), truth))
        optimizer.step()
    with torch.inference_mode():
        predicted = model.eval()(images).argmax(1)
    assert miou(truth, predicted, 2) > 0.95


def stripes(model: nn.Module, images: Tensor, num_classes: int, is_upright: bool) -> tuple[Tensor, Tensor]:
    """Cells [1, h, w] in stripes one cell wide or more, and the truth [1, H, W] that is constant over them."""
    stride = int(model.output_stride)  # type: ignore[arg-type]
    height, width = (side // stride for side in images.shape[-2:])
    ids = torch.from_numpy(np.random.default_rng(0).permutation(max(height, width)) % num_classes)
    cells = ids[:width].expand(height, width) if is_upright else ids[:height, None].expand(height, width)
    return cells[None], cells.repeat_interleave(stride, 0).repeat_interleave(stride, 1)[None]


def miou(truth: Tensor, predicted: Tensor, num_classes: int) -> float:
    confusion = confusion_matrix(truth.byte().numpy(), predicted.byte().numpy(), num_classes)
    return overlap.overall(confusion)["miou"]


@every_model
@pytest.mark.parametrize("is_upright", [True, False], ids=["upright", "level"])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_truth_sent_through_the_readout_comes_back_unmoved(
    variant: Variant, encoder_of: EncoderOf, num_classes: int, is_upright: bool
) -> None:
    """Stripes, since a corner of a cell may lose a pixel to smooth up-sampling, and a straight border may not."""
    model, images = variant.build(encoder_of, num_classes).eval(), variant.images(batch=1)
    cells, truth = stripes(model, images, num_classes, is_upright)
    logits = functional.one_hot(cells, num_classes).permute(0, 3, 1, 2).float()
    predicted = model.readout(logits, (images.shape[-2], images.shape[-1])).argmax(1)
    assert torch.equal(predicted, truth)
    assert miou(truth, predicted, num_classes) == 1.0
    axis = 2 if is_upright else 1
    for planted in (1, -1):
        assert miou(truth, predicted.roll(planted, axis), num_classes) < 1.0


@every_model
def test_the_cells_are_as_many_as_the_output_stride_says(variant: Variant, encoder_of: EncoderOf) -> None:
    model, images = variant.build(encoder_of).eval(), variant.images(batch=1)
    with torch.inference_mode():
        cells = model.cell_logits(images.float())
    assert [side * model.output_stride for side in cells.shape[-2:]] == list(images.shape[-2:])


def test_a_readout_that_moves_the_picture_by_a_pixel_is_caught() -> None:
    """The proof proves something: a stand-in whose crop is one pixel off fails it."""

    class Shifted(SegmentationModel):
        output_stride = 4

        def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
            large = functional.interpolate(cell_logits, scale_factor=4, mode="bilinear")
            return functional.pad(large, (1, 0, 0, 0), mode="replicate")[..., : size[1]]

    model, images = Shifted((0.5,) * 3, (0.5,) * 3), torch.zeros(1, 3, 64, 96)
    cells, truth = stripes(model, images, 5, is_upright=True)
    logits = functional.one_hot(cells, 5).permute(0, 3, 1, 2).float()
    predicted = model.readout(logits, (64, 96)).argmax(1)
    assert predicted.shape == truth.shape
    assert miou(truth, predicted, 5) < 1.0
