"""What every file in segpipe/models/ owes: logits for every pixel, frozen parts that stay so, and that it learns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from segpipe.checkpoints import load_model, save_model
from segpipe.confusion import confusion_matrix
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.metrics import overlap
from tests.contracts.model_variants import EncoderOf, Variant, every_model, every_model_on_an_encoder


def step(model: SegmentationModel, images: Tensor) -> None:
    """One step of plain gradient descent on everything that is not frozen."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    optimizer.zero_grad()
    model.train()
    logits = model(images)
    truth = torch.randint(0, logits.shape[1], logits[:, 0].shape, generator=torch.Generator().manual_seed(1))
    torch.autograd.backward(functional.cross_entropy(logits, truth))
    optimizer.step()


# Images in, logits out


@every_model
@pytest.mark.parametrize(("num_classes", "steps"), [(2, (2, 3)), (5, (1, 2)), (12, (3, 2)), (20, (1, 5))])
def test_bytes_go_in_and_logits_for_every_pixel_come_out(
    variant: Variant, num_classes: int, steps: tuple[int, int], encoder_of: EncoderOf
) -> None:
    model = variant.build(encoder_of, num_classes).eval()
    images = variant.images(3, *steps)
    with torch.inference_mode():
        logits = model(images)
    assert logits.dtype == torch.float32
    assert logits.shape == (3, num_classes, *model.truth(images[:, 0]).shape[1:])
    assert logits.isfinite().all()
    if model.shows_whole_image:
        assert logits.shape[2:] == images.shape[2:]


@every_model
def test_an_image_has_the_same_logits_in_any_company(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    images = variant.images(batch=3)
    with torch.inference_mode():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]), rtol=1e-4, atol=1e-5)


@every_model_on_an_encoder
def test_images_are_normalised_as_the_encoder_was_trained(variant: Variant, encoder_of: EncoderOf) -> None:
    model, encoder = variant.build(encoder_of).eval(), encoder_of(variant.name)
    images = variant.images(batch=1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (encoder.mean, encoder.std))
    with torch.inference_mode():
        expected = model.readout(model.cell_logits((images / 255 - mean) / std), variant.size(2, 3))
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(images), model.readout(model.cell_logits(images / 255), variant.size(2, 3)))


@pytest.mark.slow
@every_model
def test_it_is_exported_with_the_same_result(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    with torch.inference_mode():
        expected = model(variant.images(batch=5))
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    exported = torch.export.export(model, (variant.images(batch=2),), dynamic_shapes=(batch,))
    torch.testing.assert_close(exported.module()(variant.images(batch=5)), expected, rtol=1e-6, atol=1e-6)


# Features, which may be kept where the backbone is frozen


@every_model_on_an_encoder
def test_features_of_a_frozen_backbone_depend_on_the_image_alone(variant: Variant, encoder_of: EncoderOf) -> None:
    model, images = variant.build(encoder_of), variant.images(batch=2)
    before = model.eval().features(model.normalised(images))
    step(model, images)
    assert model.training
    after = model.features(model.normalised(images))
    is_same = all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert is_same == model.has_fixed_features == model.is_frozen("backbone.")


@every_model_on_an_encoder
def test_the_head_makes_of_features_what_the_model_makes_of_the_image(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    images = model.normalised(variant.images(batch=2))
    with torch.inference_mode():
        assert torch.equal(model.head(model.features(images)), model.cell_logits(images))


@every_model_on_an_encoder
def test_a_frozen_backbone_keeps_nothing_for_a_gradient(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).train()
    images = model.normalised(variant.images(batch=2))
    features = tuple(feature.detach() for feature in model.features(images))
    whole, head = kept_by(lambda: model.cell_logits(images)), kept_by(lambda: model.head(features))
    assert head
    assert (whole == head) == model.has_fixed_features


def kept_by(forward: Callable[[], Tensor]) -> list[torch.Size]:
    """The shapes of what autograd holds on to."""
    shapes: list[torch.Size] = []

    def pack(tensor: Tensor) -> Tensor:
        shapes.append(tensor.shape)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return shapes


# Training


@every_model
def test_a_trained_model_saved_and_loaded_gives_the_same_logits(
    variant: Variant, encoder_of: EncoderOf, tmp_path: Path
) -> None:
    model, images = variant.build(encoder_of, 5), variant.images(batch=2)
    step(model, images)
    save_model(model.trained_state(), tmp_path / "model.safetensors", "some_experiment")
    again = variant.build(encoder_of, 5) if variant.stands_on_members else variant.build(encoder_of, 5, seed=1)
    loaded = load_model(again, tmp_path / "model.safetensors")
    with torch.inference_mode():
        assert torch.equal(loaded(images), model.eval()(images))


@every_model
def test_the_gradient_reaches_every_trainable_parameter(variant: Variant, encoder_of: EncoderOf) -> None:
    model, images = variant.build(encoder_of), variant.images(batch=2)
    for _ in range(
        2
    ):  # weights that begin at zero, as the last norms of timm's residual blocks do, hold back the first
        step(model, images)
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable
    assert [name for name, parameter in trainable.items() if parameter.grad is None or not parameter.grad.any()] == []


@every_model
def test_every_trainable_parameter_has_one_learning_rate(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    grouped = [parameter for _, group in model.parameter_groups() for parameter in group]
    assert len(grouped) == len({id(parameter) for parameter in grouped})
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}


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


@every_model_on_an_encoder
def test_the_backbone_holds_the_weights_that_it_was_given(variant: Variant, encoder_of: EncoderOf) -> None:
    held = variant.build(encoder_of).backbone.state_dict()
    given = {(value.shape, value.sum().item()) for value in encoder_of(variant.name).state.values()}
    others = [key for key, value in held.items() if (value.shape, value.sum().item()) not in given]
    assert len(others) < len(held)
    assert others == [] or variant.has_other_convolutions


@every_model
def test_a_batch_of_one_is_trained_on_or_refused_in_words(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    step(model, variant.images(batch=1))
    with contextlib.ExitStack() as smallest:
        if (1, 1) in normed_sizes(model, variant.images(batch=2, tall=1, wide=1)):
            smallest.enter_context(pytest.raises(ValueError, match="Choose a batch that leaves no image over"))
        step(model, variant.images(batch=1, tall=1, wide=1))


def normed_sizes(model: SegmentationModel, images: Tensor) -> set[tuple[int, ...]]:
    """The sizes of the maps that go through batch norms in training mode."""
    sizes: set[tuple[int, ...]] = set()

    def note(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        if norm.training:
            sizes.add(tuple(given[0].shape[2:]))

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(note)
    step(model, images)
    return sizes


@pytest.mark.slow
@every_model_on_an_encoder
def test_four_small_images_can_be_learnt_by_heart(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    images, masks = halves(variant, model)
    truth = model.truth(masks)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for number in range(300):
        model.train()
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(model(images), truth))
        optimizer.step()
        if number % 10 == 9:
            loss, miou = scores(model, images, truth)
            if loss < 0.25 and miou > 0.95:
                return
    pytest.fail(f"after {number + 1} steps the loss is {loss:.3f}, mIoU {miou:.3f}")


def scores(model: SegmentationModel, images: Tensor, truth: Tensor) -> tuple[float, float]:
    """Cross entropy and mIoU, as an evaluation would find them."""
    with torch.inference_mode():
        logits = model.eval()(images)
    confusion = confusion_matrix(truth.byte().numpy(), logits.argmax(1).byte().numpy(), 2)
    return functional.cross_entropy(logits, truth).item(), overlap.overall(confusion)["miou"]


def halves(variant: Variant, model: SegmentationModel) -> tuple[Tensor, Tensor]:
    """Four images, light on one side and dark on the other, under noise; the border is elsewhere in each."""
    side = next(s for s in range(variant.step, 1000, variant.step) if s >= 48 and min(model.cell_grid((s, s))) >= 4)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    masks = torch.stack([x < side // 4, x < side // 2, y < side // 2, x > side // 2])
    noise = torch.randint(0, 60, (4, 3, side, side), generator=torch.Generator().manual_seed(0))
    return (noise + 150 * masks.unsqueeze(1)).byte(), masks.long()
